"""What the example workflows of all model families share: the loaders, the box, the sampler, the way back."""

from __future__ import annotations

from typing import Any

from .family_models import Files
from .family_notes import note_of
from .graph_builder import Column, Graph, Made

MODEL = Column("1 Model and picture", 0, 320, "#3f789e")
WHAT = Column("2 What", 400, 380, "#8A8")
WHERE = Column("3 Where", 860, 360, "#b58b2a")
SAMPLE = Column("4 Sample", 1300, 340, "#a1309b")
BACK = Column("5 Paste back", 1720, 380, "#3f789e")

LATENT, REGION, REPORT, WINDOW, WINDOW_MASK = range(2, 7)  # outputs of *Inpaint Small Box*
CONTEXT = 384  # pixels of the picture around the box
SCALE = {"scale": "side", "scale.side": 1024}  # the side that all these models know
NEGATIVE = "Negative prompt"  # title of its node
PICKER_HEIGHT = 420  # pixels of the box picker in App mode

Wire = list[Any]


class EditGraph(Graph):
    """A graph that edits a small box with the model of `files`; begins with its loaders and the picture."""

    def __init__(self, name: str, files: Files) -> None:
        super().__init__(name)
        self.label = files.label
        self.model, self.clip, self.vae = self._load(files)
        self.picture = self.add("LoadImage", MODEL, 330, image="example.png")

    def _load(self, files: Files) -> tuple[Wire, Wire, Wire]:
        if files.checkpoint:
            loader = self.add("CheckpointLoaderSimple", MODEL, 100, ckpt_name=files.checkpoint)
            return loader[0], loader[1], loader[2]
        unet = self.add("UNETLoader", MODEL, 90, unet_name=files.unet, weight_dtype="default")
        kind, names = "CLIPLoader", ["clip_name"]
        if len(files.clips) == 2:
            kind, names = "DualCLIPLoader", ["clip_name1", "clip_name2"]
        chosen = dict(zip(names, files.clips, strict=True))
        clip = self.add(kind, MODEL, 140, **chosen, type=files.clip_kind, device="default")
        vae = self.add("VAELoader", MODEL, 70, vae_name=files.vae)
        return unet[0], clip[0], vae[0]

    def text(self, text: str, title: str = "Prompt") -> Made:
        """Add a prompt."""
        return self.add("CLIPTextEncode", WHAT, 130, title, text=text, clip=self.clip)

    def nothing(self, prompt: Made) -> Made:
        """Add the negative of models that have none."""
        return self.add("ConditioningZeroOut", WHAT, 60, conditioning=prompt[0])

    def box(self, box: dict[str, int], positive: Wire | None = None, negative: Wire | None = None) -> Made:
        """Add *Inpaint Small Box*; without prompts if an encoder reads its window."""
        prompts = {"positive": positive, "negative": negative, "clip": self.clip} if positive else {}
        return self.add(
            "FinesseInpaintSmallBox",
            WHERE,
            760,
            **{"image": self.picture[0], "vae": self.vae, "model": self.model, **prompts},
            **{"box": box, "snap": True, "grow": 0, "noise_mask": True, "context": CONTEXT, **SCALE},
        )

    def refer(self, conditioning: Wire, box: Made) -> Wire:
        """Show the window to an edit model: the latent, which is the window encoded, in its size."""
        latent = box[LATENT]
        return self.add("ReferenceLatent", SAMPLE, 60, conditioning=conditioning, latent=latent)[0]

    def sample(
        self,
        model: Wire,
        positive: Wire,
        negative: Wire,
        box: Made,
        settings: tuple[int, float, str, str],
    ) -> Made:
        """Add a *KSampler*. settings: steps, cfg, sampler, scheduler."""
        names = ("steps", "cfg", "sampler_name", "scheduler")
        return self.add(
            "KSampler",
            SAMPLE,
            270,
            **{"model": model, "positive": positive, "negative": negative, "latent_image": box[LATENT]},
            **{"seed": 7, **dict(zip(names, settings, strict=True)), "denoise": 1.0},
        )

    def finish(self, box: Made, sampled: Made, prompt: tuple[Made, str], seed: tuple[Made, str]) -> EditGraph:
        """Add what follows the sampler. prompt, seed: node and widget that App mode shows."""
        edited = self.add("VAEDecode", SAMPLE, 60, samples=sampled[0], vae=self.vae)
        self.add("PreviewAny", SAMPLE, 260, "Effective area", source=box[REPORT])
        pasted = self.add(
            "FinesseCompositeBox",
            BACK,
            130,
            **{"edited": edited[0], "original": self.picture[0], "region": box[REGION]},
            **{"feather": 8, "colour_match": "adaptive"},
        )
        saved = self.add("SaveImage", BACK, 460, images=pasted[0], filename_prefix=f"finesse/{self.name}")
        self.widgets = [(self.picture, "image", 0), (box, "box", PICKER_HEIGHT), (*prompt, 0), (*seed, 0)]
        self.results = [saved]
        self.note = note_of(self.name, self.label, self.models)
        return self
