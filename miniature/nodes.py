"""The miniature in ComfyUI: its loader nodes, for the demo and the tests only.

A bridge file in ComfyUI's custom_nodes makes it known, with the single line

    from finesse.miniature.nodes import comfy_entrypoint

The folder it loads is FINESSE_MINIATURE of the environment, else the weights that come with this package.
"""

import os
from pathlib import Path

import torch
from comfy.model_base import BaseModel
from comfy.sd import VAE
from comfy_api.latest import ComfyExtension, io

from .comfy_controlnet import load_controlnet
from .comfy_models import load_clip, load_unet, load_vae

UNETS = {"text-to-image": "unet", "inpainting": "unet_inpainting"}
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
                    tooltip="The plain UNet of 4 channels, or its inpainting twin of 9.",
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


class MiniatureExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [FinesseMiniatureLoader, FinesseMiniatureControlNet]


async def comfy_entrypoint() -> MiniatureExtension:
    return MiniatureExtension()


def weights_folder() -> Path:
    """The diffusers folder to load: FINESSE_MINIATURE, else the weights that come with the package."""
    return Path(os.environ.get("FINESSE_MINIATURE") or Path(__file__).parent / "weights" / "64")


def _set_blank(model: BaseModel, vae: VAE) -> None:
    """Tell an inpainting model what grey is in this VAE's latents: it sees that when no mask is given."""
    side = 8 * vae.spacial_compression_encode()
    grey = model.process_latent_in(vae.encode(torch.full((1, side, side, 3), 0.5)))
    mean = grey.mean(dim=(2, 3), keepdim=True)  # 14HW -> 1411
    model.blank_inpaint_image_like = lambda latent: mean.to(latent).expand_as(latent)
