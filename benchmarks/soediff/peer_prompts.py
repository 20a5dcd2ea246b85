"""Prompts for ComfyUI that draw an object in a small box: by stock nodes, by the peers' nodes, and by ours.

Each peer is set up as its own released example workflow for Stable Diffusion is; lengths in pixels are scaled
from the 512 that they are written for. All share model family, text, seed, steps, guidance and sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...core.small_objects.boxes import Box
from ...core.small_objects.colour_match import DEFAULT_MATCH
from ...demo.client import Prompt
from ...demo.prompts import shrink
from .attention_guidance import enlarged

SAVE = "save"  # the node that gives the picture
ENLARGE = (1.5, 3.0)  # how much larger the box is whose attention guides: drawn from this range by box


@dataclass(frozen=True)
class DrawingTask:
    """What is to be drawn in one box.

    picture: an uploaded picture whose alpha is 0 in the box, side pixels a side. place: from 0 to 1, drawn by
    box. scale: of *Inpaint Small Box*, auto or none.
    """

    picture: str
    side: int
    cell: int
    box: Box
    text: str
    label: str
    seed: int
    steps: int
    guidance: float
    sampler: str
    scheduler: str
    place: float
    scale: str


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def stock(task: DrawingTask) -> Prompt:
    """Core's inpainting of the whole picture."""
    return {
        **_loaded(task, "inpainting"),
        "inpaint": _conditioned(["image", 0], ["image", 1]),
        "sampler": _sampler(task),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["model", 2]),
        SAVE: _save(["decode", 0]),
    }


def crop_stitch(task: DrawingTask) -> Prompt:
    """Core's inpainting between Inpaint Crop and Inpaint Stitch, as in the pack's inpaint_sd15.json."""
    crop = node(
        "InpaintCropImproved",
        image=["image", 0],
        mask=["image", 1],
        downscale_algorithm="bilinear",
        upscale_algorithm="bicubic",
        preresize=False,
        preresize_mode="ensure minimum resolution",
        preresize_min_width=task.side,
        preresize_min_height=task.side,
        preresize_max_width=16384,
        preresize_max_height=16384,
        mask_fill_holes=True,
        mask_expand_pixels=0,
        mask_invert=False,
        mask_blend_pixels=shrink(32, task.side),
        mask_hipass_filter=0.1,
        extend_for_outpainting=False,
        extend_up_factor=1.0,
        extend_down_factor=1.0,
        extend_left_factor=1.0,
        extend_right_factor=1.0,
        context_from_mask_extend_factor=2.0,
        output_resize_to_target_size=True,
        output_target_width=task.side,
        output_target_height=task.side,
        output_padding="32",
        device_mode="gpu (much faster)",
    )
    return {
        **_loaded(task, "inpainting"),
        "crop": crop,
        "inpaint": _conditioned(["crop", 1], ["crop", 2]),
        "sampler": _sampler(task),
        "decode": node("VAEDecode", samples=["sampler", 0], vae=["model", 2]),
        "stitch": node("InpaintStitchImproved", stitcher=["crop", 0], inpainted_image=["decode", 0]),
        SAVE: _save(["stitch", 0]),
    }


def lanpaint(task: DrawingTask) -> Prompt:
    """LanPaint's sampler on the text-to-image model, as in the pack's SDXL_EncodeDecode_Inpaint.json."""
    sampler = _sampler(task, ["positive", 0], ["negative", 0], ["encode", 0])
    sampler["class_type"] = "LanPaint_KSampler"
    sampler["inputs"] |= {
        "LanPaint_NumSteps": 5,
        "LanPaint_PromptMode": "Image First",
        "LanPaint_Info": "",
        "Inpainting_mode": "🖼️ Image Inpainting",
    }
    picture, mask, vae = ["image", 0], ["image", 1], ["model", 2]
    overlap = shrink(9, task.side) // 2 * 2 + 1  # the node takes odd numbers
    return {
        **_loaded(task, "text-to-image"),
        "encode": node("LanPaint_ImageEncode", image=picture, vae=vae, mask=mask),
        "sampler": sampler,
        "decode": node(
            "LanPaint_ImageDecode",
            samples=["sampler", 0],
            vae=vae,
            image=picture,
            mask=mask,
            blend_overlap=overlap,
        ),
        SAVE: _save(["decode", 0]),
    }


def guided(task: DrawingTask) -> Prompt:
    """Stock inpainting, its first steps guided by the attention of a larger box (Pan et al. 2024)."""
    low, high = ENLARGE
    size = (task.side, task.side)
    large = enlarged(task.box, low + (high - low) * task.place, size).snap(task.cell)
    sampler = node(
        "FinesseGuidedBoxSampler",
        model=["model", 0],
        clip=["model", 1],
        positive=["inpaint", 0],
        negative=["inpaint", 1],
        large=["inpaint large", 0],
        latent=["inpaint", 2],
        box=task.box.to_dict(),
        large_box=large.to_dict(),
        width=task.side,
        height=task.side,
        text=task.text,
        label=task.label,
        seed=task.seed,
        steps=task.steps,
        cfg=task.guidance,
        guided_steps=5,
        iterations=5,
        rate=100.0,
    )
    return {
        **_loaded(task, "inpainting"),
        "inpaint": _small_box(task, ["model", 2], noise_mask=False),
        "inpaint large": _small_box(replace(task, box=large), ["model", 2], noise_mask=False),
        "sampler": sampler,
        **_composited(task, ["model", 2], "none"),
    }


def ours(task: DrawingTask) -> Prompt:
    """*Inpaint Small Box* with SO-LoRA and the tuned VAE, as in example_workflows/draw_with_so_lora.json."""
    lora = node(
        "FinesseLoadSOLoRA", model=["model", 0], lora="so_lora.safetensors", strength=1.0, tuned_vae="none"
    )
    tuned = node("FinesseMiniatureLoader", model="inpainting", vae="tuned")
    return {**_ours(task, ["lora", 0], ["tuned", 2]), "tuned": tuned, "lora": lora}


def ours_plain(task: DrawingTask) -> Prompt:
    """*Inpaint Small Box* with the plain model, as in example_workflows/draw_small_object.json."""
    return _ours(task, ["model", 0], ["model", 2])


def _ours(task: DrawingTask, model: list[Any], vae: list[Any]) -> Prompt:
    scale = {"scale": task.scale}
    if task.scale == "auto":
        scale |= {"scale.limit": 4.0, "scale.model_side": task.side}
    prompt = {
        **_loaded(task, "inpainting"),
        "inpaint": _small_box(task, vae, model=model, noise_mask=True, **scale),
        "sampler": _sampler(task),
        **_composited(task, vae, DEFAULT_MATCH),
    }
    prompt["sampler"]["inputs"]["model"] = model
    return prompt


ROWS: dict[str, Callable[[DrawingTask], Prompt]] = {
    "stock": stock,
    "crop_stitch": crop_stitch,
    "lanpaint": lanpaint,
    "guided": guided,
    "ours": ours,
    "ours_plain": ours_plain,
}


def _loaded(task: DrawingTask, model: str) -> Prompt:
    return {
        "model": node("FinesseMiniatureLoader", model=model, vae="plain"),
        "positive": node("CLIPTextEncode", clip=["model", 1], text=task.text),
        "negative": node("CLIPTextEncode", clip=["model", 1], text=""),
        "image": node("LoadImage", image=task.picture),
    }


def _conditioned(pixels: list[Any], mask: list[Any]) -> dict[str, Any]:
    return node(
        "InpaintModelConditioning",
        positive=["positive", 0],
        negative=["negative", 0],
        vae=["model", 2],
        pixels=pixels,
        mask=mask,
        noise_mask=True,
    )


def _small_box(task: DrawingTask, vae: list[Any], **inputs: Any) -> dict[str, Any]:
    return node(
        "FinesseInpaintSmallBox",
        positive=["positive", 0],
        negative=["negative", 0],
        vae=vae,
        image=["image", 0],
        box=task.box.to_dict(),
        snap=True,
        grow=0,
        context=0,
        **inputs,
    )


def _sampler(
    task: DrawingTask,
    positive: Any = ("inpaint", 0),
    negative: Any = ("inpaint", 1),
    latent: Any = ("inpaint", 2),
) -> dict[str, Any]:
    return node(
        "KSampler",
        model=["model", 0],
        seed=task.seed,
        steps=task.steps,
        cfg=task.guidance,
        sampler_name=task.sampler,
        scheduler=task.scheduler,
        positive=list(positive),
        negative=list(negative),
        latent_image=list(latent),
        denoise=1.0,
    )


def _composited(task: DrawingTask, vae: list[Any], colour_match: str) -> Prompt:
    composite = node(
        "FinesseCompositeBox",
        original=["image", 0],
        edited=["decode", 0],
        region=["inpaint", 3],
        feather=shrink(8, task.side),
        colour_match=colour_match,
    )
    return {
        "decode": node("VAEDecode", samples=["sampler", 0], vae=vae),
        "composite": composite,
        SAVE: _save(["composite", 0]),
    }


def _save(images: list[Any]) -> dict[str, Any]:
    return node("SaveImage", images=images, filename_prefix="peers")
