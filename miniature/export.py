"""Ship a trained miniature: its weights as one diffusers pipeline folder, a model card beside each part.

    python -m finesse.miniature.export --folder runs/64
    python -m finesse.miniature.export --folder runs/64 --parts factors,controlnet

Run it again after the benchmarks of BENCHMARKS, so that the cards show the newest scores.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import diffusers

from ..core.files import read_json, read_tensors, write_json, write_text
from ..training.loop.checkpoints import checkpoints
from ..training.loop.config import option, parse, script, words
from .stored import FACTORS, WEIGHTS

RESULTS = WEIGHTS.parents[2] / "docs" / "results"
BENCHMARKS = ("miniature", "soediff", "fgdm", "layerdiffusion")
STORED = [RESULTS / f"{name}.json" for name in BENCHMARKS]
PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": diffusers.__version__,
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
GATHERED = {  # what other scripts than the miniature's made: file -> where their runs lie
    "so_lora/so_lora.safetensors": "so_lora/so_lora.safetensors",
    **{f"factors/{name}": f"{Path(name).stem}/{name}" for name in FACTORS},
    "layered/dancing_person.safetensors": "layered/dancing_person.safetensors",
    "vae_tuned/diffusion_pytorch_model.safetensors": "vae_tuned/vae.safetensors",
    "vae_tuned/config.json": "weights/vae/config.json",
}
# folder -> (title, runs that made it, prefixes of its scores)
CARDS = {
    "vae": ("VAE of the miniature", ("vae",), ("vae.",)),
    "text_encoder": ("Text encoder of the miniature, trained with its UNet", ("text_to_image",), ("t2i.",)),
    "unet": ("Text-to-image UNet of the miniature", ("text_to_image",), ("t2i.",)),
    "unet_inpainting": ("Inpainting UNet of the miniature (9 channels)", ("inpainting",), ("inpaint.",)),
    "judges": ("The miniature's judges: classifier and segmenter", ("classifier", "segmenter"), ("judge.",)),
    "so_lora": ("SO-LoRA of the miniature", ("so_lora",), ("table1.soediff", "table3.")),
    "vae_tuned": ("VAE of the miniature, tuned for small objects", ("vae_tuned",), ("table3.",)),
    "factors": (
        "Factors of FG-DM for the miniature",
        tuple(Path(name).stem for name in FACTORS),
        ("table4.fgdm",),
    ),
    "controlnet": ("The miniature's ControlNet for segmentation maps", ("image_factor",), ()),
    "segformer": ("A SegFormer for the miniature's pictures", ("segformer",), ()),
    "subjects": ("LoRA of the miniature for one large subject", ("subjects",), ("ablation.full",)),
    "layered": ("A layered edit of one of the miniature's photos, low-rank", (), ()),
}


@dataclass
class Arguments:
    """Settings: what to ship, and what to tell about it."""

    folder: str = option("runs/64", "where it was trained")
    target: str = option(str(WEIGHTS), "folder to write, anew")
    parts: str = option("", f"only these folders, of {', '.join(CARDS)}; empty for all")
    scenes: str = option("scenes of its training split", "the data, in words")
    machine: str = option("", "the kind of machine it was trained on")


def export(runs: Path, target: Path, scenes: str, machine: str, parts: Collection[str] = ()) -> None:
    """Copy `runs`/weights and GATHERED to `target`, which then is a pipeline folder with cards.

    parts: the folders of `target` to make anew; none stands for all.
    """
    own = {path.name for path in (runs / "weights").iterdir()}
    parts = parts or own | {Path(name).parts[0] for name in GATHERED}
    for part in parts:
        shutil.rmtree(target / part, ignore_errors=True)
        if part in own:
            shutil.copytree(runs / "weights" / part, target / part)
    for name, source in GATHERED.items():
        if Path(name).parts[0] in parts:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(runs / source, target / name)
    write_json(target / "model_index.json", PIPELINE)
    stored = [read_json(path)["metrics"] for path in STORED if path.exists()]
    scores = dict(chain.from_iterable(metrics.items() for metrics in stored))
    for folder, (title, names, prefixes) in CARDS.items():
        if folder not in parts:
            continue
        lines = [f"# {title}", "", f"Trained by this project on {scenes}, on a {machine}."]
        lines += ["The emoji in the scenes are Noto Color Emoji (OFL 1.1). Weights: GPL-3.0-or-later.", ""]
        made = [run for run in sorted(runs.iterdir()) if re.sub(r"\d+$", "", run.name) in names]
        lines += [_training(run) for run in made]
        rows = [f"| `{key}` | {value:g} |" for key, value in scores.items() if key.startswith(prefixes)]
        if rows:
            source = (
                f"benchmarks {', '.join(f'`{name}`' for name in BENCHMARKS)}; scenes that training never saw"
            )
            lines += ["", f"Scores ({source}):", "", "| measure | value |", "|---|---|", *rows]
        write_text(target / folder / "README.md", "\n".join(lines) + "\n")


def _training(run: Path) -> str:
    header = read_tensors(checkpoints(run / "checkpoints")[0])[1]
    config = json.loads(header["finesse.config"])
    return (
        f"- `{run.name}`: {header['finesse.step']} of {config['steps']} planned steps of "
        f"{config['batch_size']} samples, {config['optimizer']} at {config['learning_rate']:g}, "
        f"averaged over {config['ema_decay']:g}, precision {config['precision']}."
    )


def main() -> None:
    (arguments,) = parse([Arguments], {})
    if not arguments.machine:
        raise ValueError("machine is empty; tell the kind of machine the miniature was trained on.")
    if unknown := sorted(set(words(arguments.parts)) - set(CARDS)):
        raise ValueError(f"parts: got {', '.join(unknown)}; use some of {', '.join(CARDS)}.")
    export(
        Path(arguments.folder),
        Path(arguments.target),
        arguments.scenes,
        arguments.machine,
        words(arguments.parts),
    )


if __name__ == "__main__":
    script(main)
