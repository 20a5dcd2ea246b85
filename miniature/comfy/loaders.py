"""The miniature in ComfyUI: its loader nodes, for the demo and the tests only.

A bridge file in ComfyUI's custom_nodes makes it known, with the single line

    from finesse.miniature.comfy.loaders import comfy_entrypoint

The folder it loads is FINESSE_MINIATURE of the environment, else the weights that come with this package.
"""

import os
from pathlib import Path

import torch
from comfy.model_base import BaseModel
from comfy.sd import VAE, load_lora_for_models
from comfy_api.latest import ComfyExtension, io

from ...core.files import read_tensors
from ...core.maps.objects import objects_of
from ...core.maps.palettes import COCO_STUFF
from ..model.judges import Segmenter, load_judge
from ..stored import WEIGHTS
from ..world.things import SUBJECTS, SUBJECTS_LORA
from .controlnet import load_controlnet
from .diffusers_folder import load_clip, load_unet, load_vae

UNETS = {"text-to-image": "unet", "inpainting": "unet_inpainting", "subjects": "unet"}
VAES = {"plain": "vae", "tuned": "vae_tuned"}


class FinesseMiniatureLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseMiniatureLoader",
            display_name="Load Miniature",
            category="Finesse/miniature",
            description="Loads the small Stable Diffusion that Finesse is tried and tested with.",
            search_aliases=["miniature", "test model", "small checkpoint"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=list(UNETS),
                    tooltip=(
                        "The plain UNet of 4 channels, its inpainting twin of 9, or the plain one with a "
                        "LoRA for pictures of one large subject."
                    ),
                ),
                io.Combo.Input(
                    "vae",
                    options=list(VAES),
                    default="plain",
                    optional=True,
                    tooltip="The VAE as first trained, or as tuned for small objects.",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="The UNet, for any sampler."),
                io.Clip.Output(tooltip="The text encoder with its small vocabulary."),
                io.Vae.Output(tooltip="The VAE; its scale is its own, 4 or 8."),
            ],
        )

    @classmethod
    def execute(cls, model: str, vae: str = "plain") -> io.NodeOutput:
        folder = weights_folder()
        unet, loaded = load_unet(folder, UNETS[model]), load_vae(folder, VAES[vae])
        if model == "inpainting":
            _set_blank(unet.model, loaded)
        if model == "subjects":
            lora, _ = read_tensors(folder / SUBJECTS_LORA)
            unet, _ = load_lora_for_models(unet, None, lora, 1.0, 0.0)
        return io.NodeOutput(unet, load_clip(folder), loaded)


class FinesseMiniatureControlNet(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseMiniatureControlNet",
            display_name="Load Miniature ControlNet",
            category="Finesse/miniature",
            description="Loads the miniature's ControlNet for segmentation maps, for stock ControlNet nodes.",
            search_aliases=["miniature", "control"],
            inputs=[],
            outputs=[
                io.ControlNet.Output(tooltip="For Apply ControlNet; it reads maps in the palette miniature.")
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(load_controlnet(weights_folder()))


class FinesseMiniatureSegmenter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseMiniatureSegmenter",
            display_name="Segment Miniature Object",
            category="Finesse/miniature",
            description="Finds the largest subject of the miniature's pictures, in the place of SAM.",
            search_aliases=["miniature", "mask"],
            inputs=[io.Image.Input("image", tooltip="Pictures of the miniature's world.")],
            outputs=[
                io.Mask.Output("mask", tooltip="1 in the subject and 0 outside, one for each picture."),
                io.BoundingBox.Output("box", tooltip="The box around each picture's mask."),
                io.String.Output("report", tooltip="What each subject is."),
            ],
        )

    @classmethod
    def execute(cls, image: torch.Tensor) -> io.NodeOutput:
        segmenter = load_judge(Segmenter(), weights_folder() / "judges" / "segmenter.safetensors")
        wanted = [COCO_STUFF.index(name) for name in SUBJECTS]
        others = set(range(len(COCO_STUFF.labels))) - set(wanted)
        found = [
            objects_of(labels.numpy(), ignore=others)[:1]
            for labels in segmenter(image[..., :3].movedim(-1, 1)).argmax(1)  # BHWC -> BCHW
        ]
        if not all(found):
            raise ValueError(f"image: no subject is seen; give a picture of one of {', '.join(SUBJECTS)}.")
        masks = torch.stack([torch.from_numpy(one.mask).float() for (one,) in found])
        report = "\n".join(COCO_STUFF.labels[one.label] for (one,) in found)
        return io.NodeOutput(masks, [[one.box.to_dict()] for (one,) in found], report)


class MiniatureExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [FinesseMiniatureLoader, FinesseMiniatureControlNet, FinesseMiniatureSegmenter]


async def comfy_entrypoint() -> MiniatureExtension:
    return MiniatureExtension()


def weights_folder() -> Path:
    """The diffusers folder to load: FINESSE_MINIATURE, else the weights that come with the package."""
    return Path(os.environ.get("FINESSE_MINIATURE") or WEIGHTS)


def _set_blank(model: BaseModel, vae: VAE) -> None:
    """Tell an inpainting model what grey is in this VAE's latents: it sees that when no mask is given."""
    side = 8 * vae.spacial_compression_encode()
    grey = model.process_latent_in(vae.encode(torch.full((1, side, side, 3), 0.5)))
    mean = grey.mean(dim=(2, 3), keepdim=True)  # 14HW -> 1411
    model.blank_inpaint_image_like = lambda latent: mean.to(latent).expand_as(latent)
