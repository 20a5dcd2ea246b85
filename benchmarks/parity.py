"""Measures the difference of ComfyUI and diffusers on the same weights, noise, text and steps, in float32.

    COMFYUI_PATH=... python -m finesse.benchmarks.parity [DIR]

The miniature is trained in diffusers and used in ComfyUI: what is measured in one must hold in the other.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F

from ..miniature.model import networks
from ..training.models.sampling import cell_of

PROMPT, NEGATIVE = "a red car left of a dog on grass", ""
GUIDANCE = 5.0
UNETS = ("unet", "unet_inpainting")


def max_abs_difference(weights: Path, steps: int = 20) -> dict[str, float]:
    """The largest absolute difference between ComfyUI and diffusers at each stage, by the stage's name.

    `text` is the conditioning, `vae.encode` the latent's mean, `vae.decode` pixels in [0, 1]; `<unet>.noise`
    is one predicted noise, `<unet>.latent` the latent after `steps` guided Euler steps, scaled as the UNet
    sees it, for `unet` and `unet_inpainting`. `weights` is the miniature's folder. ComfyUI is imported from
    COMFYUI_PATH; a ValueError says so when it is not there.
    """
    import_comfyui()
    pipeline = networks.load(weights)
    with torch.inference_mode():
        given = _given(pipeline, steps)
        there, here = _in_diffusers(pipeline, given), _in_comfyui(weights, given)
    return {stage: (there[stage] - here[stage]).abs().max().item() for stage in there}


def import_comfyui() -> None:
    """Make `import comfy` work, on the CPU, from COMFYUI_PATH; nothing is done if it works already."""
    if "comfy.model_management" in sys.modules:
        return
    folder = os.environ.get("COMFYUI_PATH", "")
    if not (Path(folder) / "comfy" / "sd.py").is_file():
        raise ValueError(f"COMFYUI_PATH is {folder!r}: set it to the folder of a ComfyUI")
    sys.path.insert(0, folder)
    from comfy.cli_args import args

    args.cpu = True


@dataclass
class Given:
    """The inputs that both sides start from."""

    noise: Tensor  # (1, 4, h, w), unit variance
    image: Tensor  # (1, H, W, 3) in [0, 1]
    mask: Tensor  # (1, H, W), 1 where to paint, its edges on those of latent cells
    scheduler: EulerDiscreteScheduler  # its steps are whole training timesteps, as ComfyUI rounds to them


def _given(pipeline: networks.Miniature, steps: int) -> Given:
    generator = torch.Generator().manual_seed(0)
    side, scale = pipeline.unet.config.sample_size, cell_of(pipeline.vae)
    mask = torch.zeros(1, side, side)
    mask[:, side // 4 : side // 2, side // 3 :] = 1.0
    scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    return Given(
        noise=torch.randn(1, 4, side, side, generator=generator),
        image=torch.rand(1, side * scale, side * scale, 3, generator=generator),
        mask=mask.repeat_interleave(scale, 1).repeat_interleave(scale, 2),
        scheduler=scheduler,
    )


def _in_diffusers(pipeline: networks.Miniature, given: Given) -> dict[str, Tensor]:
    tokens = pipeline.tokenizer(
        [NEGATIVE, PROMPT], padding="max_length", truncation=True, return_tensors="pt"
    )
    text = pipeline.text_encoder(tokens.input_ids).last_hidden_state  # (2, length, width)

    def encode(image: Tensor) -> Tensor:
        return pipeline.vae.encode(image.movedim(-1, 1) * 2 - 1).latent_dist.mean

    latent = encode(given.image)
    decoded = pipeline.vae.decode(latent).sample.movedim(1, -1) / 2 + 0.5
    hole = given.mask[..., None]
    masked = encode(given.image * (1 - hole) + 0.5 * hole) * pipeline.vae.config.scaling_factor
    mask = F.interpolate(given.mask[:, None], size=masked.shape[-2:])
    extra = {"unet": masked[:, :0], "unet_inpainting": torch.cat([mask, masked], dim=1)}

    stages = {"text": text, "vae.encode": latent, "vae.decode": decoded.clamp(0, 1)}
    for name in UNETS:
        noise = partial(_noise_in_diffusers, getattr(pipeline, name), text, extra[name])
        stages[f"{name}.noise"] = noise(given.noise, torch.tensor(500))
        stages[f"{name}.latent"] = _euler(noise, given)
    return stages


def _noise_in_diffusers(
    unet: UNet2DConditionModel, text: Tensor, extra: Tensor, x: Tensor, timestep: Tensor
) -> Tensor:
    both = torch.cat([x, extra], dim=1).expand(len(text), -1, -1, -1)
    return unet(both, timestep, text).sample


def _euler(noise: Callable[[Tensor, Tensor], Tensor], given: Given) -> Tensor:
    scheduler = given.scheduler
    scheduler.set_timesteps(len(scheduler.timesteps))  # back to its first step
    x = given.noise * (1 + scheduler.sigmas[0] ** 2).sqrt()  # where ComfyUI starts from pure noise
    for timestep in scheduler.timesteps:
        negative, positive = noise(scheduler.scale_model_input(x, timestep), timestep).split(1)
        x = scheduler.step(negative + GUIDANCE * (positive - negative), timestep, x).prev_sample
    return x


def _in_comfyui(weights: Path, given: Given) -> dict[str, Tensor]:
    import comfy.sample
    import comfy.samplers

    from nodes import CLIPTextEncode, InpaintModelConditioning

    from ..miniature.comfy import diffusers_folder

    clip, vae = diffusers_folder.load_clip(weights), diffusers_folder.load_vae(weights)
    texts = [CLIPTextEncode().encode(clip, text)[0] for text in (NEGATIVE, PROMPT)]
    context = torch.cat([text[0][0] for text in texts])
    latent = vae.encode(given.image)
    stages = {"text": context, "vae.encode": latent, "vae.decode": vae.decode(latent)}
    inpainting = InpaintModelConditioning().encode(*texts, given.image, vae, given.mask, noise_mask=False)

    for name, (negative, positive) in zip(UNETS, (texts, inpainting[:2]), strict=True):
        model = diffusers_folder.load_unet(weights, name)
        sampled = comfy.sample.sample_custom(
            model,
            given.noise,
            GUIDANCE,
            comfy.samplers.sampler_object("euler"),
            given.scheduler.sigmas,
            positive,
            negative,
            torch.zeros_like(given.noise),
            disable_pbar=True,
        )
        stages[f"{name}.latent"] = model.model.process_latent_in(sampled)
        stages[f"{name}.noise"] = _noise_in_comfyui(model.model, given.noise, context, positive[0][1])
    return stages


def _noise_in_comfyui(base_model: Any, noise: Tensor, context: Tensor, cond: dict[str, Any]) -> Tensor:
    extra = base_model.concat_cond(noise=noise, device=noise.device, **cond)
    x = noise if extra is None else torch.cat([noise, extra], dim=1)
    timesteps = torch.full((len(context),), 500.0)
    return base_model.diffusion_model(x.expand(len(context), -1, -1, -1), timesteps, context=context)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else networks.WEIGHTS
    print(json.dumps(max_abs_difference(folder), indent=2))
