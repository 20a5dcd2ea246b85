"""API prompts on the miniature that more than one test uses."""

from __future__ import annotations

from typing import Any

from finesse.demo import prompts
from finesse.demo.client import ComfyClient, Prompt


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def picture(client: ComfyClient, prompt: Prompt) -> bytes:
    """The PNG that a prompt saves."""
    return client.images(client.run(prompt))["save"][0]


def text_to_image(seed: int = 0, steps: int = 4) -> Prompt:
    """A stock graph, none of the pack's nodes in it."""
    return prompts.text_to_image("a red car on grass", seed, steps)


def edit(picture: str, box: dict[str, Any], seed: int = 0, steps: int = 4, **inputs: Any) -> Prompt:
    """An edit of an uploaded picture inside `box`; `inputs` go to *Inpaint Small Box*."""
    settings = {"snap": True, "grow": 0, "noise_mask": True, "context": 0} | inputs
    return {
        "model": node("FinesseMiniatureLoader", model="inpainting"),
        "positive": node("CLIPTextEncode", clip=["model", 1], text="a red car"),
        "negative": node("CLIPTextEncode", clip=["model", 1], text=""),
        "image": node("LoadImage", image=picture),
        "inpaint": node(
            "FinesseInpaintSmallBox",
            positive=["positive", 0],
            negative=["negative", 0],
            vae=["model", 2],
            image=["image", 0],
            box=box,
            **settings,
        ),
        "sampler": sampler(seed, steps, ["inpaint", 0], ["inpaint", 1], ["inpaint", 2]),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["model", 2]),
        "composite": node(
            "FinesseCompositeBox",
            original=["image", 0],
            edited=["decode", 0],
            region=["inpaint", 3],
            feather=1,
            colour_match="none",
        ),
        "save": node("SaveImage", images=["composite", 0], filename_prefix="edit"),
    }


def sampler(seed: int, steps: int, positive: Any, negative: Any, latent: Any) -> dict[str, Any]:
    return node(
        "KSampler",
        model=["model", 0],
        seed=seed,
        steps=steps,
        cfg=4.0,
        sampler_name="euler",
        scheduler="normal",
        positive=positive,
        negative=negative,
        latent_image=latent,
        denoise=1.0,
    )
