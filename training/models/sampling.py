"""Samples pictures from a Stable Diffusion in plain diffusers, for previews and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, DPMSolverMultistepScheduler
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from ...core.images import to_bytes

# settings that a solver takes from a base's scheduler; the steps are the same for every base
OF_BASE = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas"),
    "prediction_type",
)
CHUNK = 32  # pictures at a time; more are slower on a CPU, since their memory is newly allocated each time


def build_scheduler() -> DDPMScheduler:
    """Build Stable Diffusion's noise schedule."""
    return DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )


def timesteps(steps: int, scheduler: DDPMScheduler | None = None) -> list[float]:
    """Timesteps at which `sample` evaluates the UNet, descending."""
    return build_solver(steps, scheduler=scheduler).timesteps.tolist()


def build_solver(
    steps: int, device: torch.device | str = "cpu", scheduler: DDPMScheduler | None = None
) -> DPMSolverMultistepScheduler:
    """Build DPM-Solver++ (2M) on the noise schedule of `scheduler`, None for Stable Diffusion's."""
    of_base = (scheduler or build_scheduler()).config
    solver = DPMSolverMultistepScheduler(**{name: of_base[name] for name in OF_BASE})
    solver.set_timesteps(steps, device=device)
    return solver


@torch.no_grad()
def sample(
    unet: nn.Module,
    context: Tensor,
    empty: Tensor,
    noise: Tensor,
    *,
    scheduler: DDPMScheduler | None = None,
    extra: Tensor | None = None,
    added: Mapping[str, Tensor] | None = None,
    known: tuple[Tensor, Tensor] | None = None,
    turns: tuple[Tensor, Mapping[str, Tensor] | None, Sequence[bool]] | None = None,
    start: tuple[Tensor, float] | None = None,
    steps: int = 25,
    guidance: float = 5.0,
) -> Tensor:
    """Sample latents (B, 4, h, w) from `noise` of that shape by DPM-Solver++ (2M), classifier-free guidance.

    context: (B, L, width) text embeddings; empty: (L, width) those of the empty prompt. scheduler: the
    base's, for its noise schedule and prediction, or None for Stable Diffusion's. extra: (B, 5, h, w) mask
    and masked latent for an inpainting UNet. added: what an SDXL reads besides, (2 B, ...) each, the rows of
    the empty prompt first. known: latents (B, 4, h, w) and a mask (B, 1, h, w), 1 where to paint;
    elsewhere every step takes up those latents, noised (Blended Latent Diffusion, Avrahami et al. 2023).
    turns: another context (B or 1, L, width) with what `added` is to it, and of each step whether it reads
    that one (LayerDiffusion). start: latents (B or 1, 4, h, w) and the share of the steps that they are
    noised for and go through (SDEdit, Meng et al. 2022).
    """
    solver = build_solver(steps, noise.device, scheduler)
    both = torch.cat([empty.expand_as(context), context])
    other = torch.cat([empty.expand_as(context), turns[0].expand_as(context)]) if turns else both
    latents, first = noise * solver.init_noise_sigma, 0
    if start:
        first = min(round((1 - start[1]) * steps), steps - 1)
        solver.set_begin_index(first)
        latents = solver.add_noise(start[0].expand_as(noise), noise, solver.timesteps[first : first + 1])
    for i, timestep in enumerate(solver.timesteps[first:], start=first):
        inputs = latents if extra is None else torch.cat([latents, extra], dim=1)
        read, besides = (other, turns[1]) if turns and turns[2][i] else (both, added)
        predicted = unet(torch.cat([inputs, inputs]), timestep, read, added_cond_kwargs=besides).sample
        without, with_text = predicted.float().chunk(2)
        latents = solver.step(without + guidance * (with_text - without), timestep, latents).prev_sample
        if known:
            clean, mask = known
            following = solver.timesteps[i + 1 : i + 2]
            original = solver.add_noise(clean, noise, following) if len(following) else clean
            latents = torch.where(mask > 0, latents, original)
    return latents


def embeddings(empty: Tensor, resolution: int) -> dict[str, Tensor]:
    """Other inputs of an SDXL: the empty prompt's pooled text (width,), the size of an uncut picture."""
    sizes = [resolution, resolution, 0, 0, resolution, resolution]
    return {"text_embeds": empty, "time_ids": torch.tensor(sizes, device=empty.device, dtype=empty.dtype)}


def guided(added: Mapping[str, Tensor], pooled: Tensor) -> dict[str, Tensor]:
    """Other inputs of an SDXL for `sample`, from `added` of the empty prompt and pooled texts (B, width)."""
    both = torch.cat([added["text_embeds"].expand_as(pooled), pooled])
    return {"text_embeds": both, "time_ids": added["time_ids"].expand(len(both), -1)}


def cell_of(vae: AutoencoderKL) -> int:
    """Side of a latent cell in pixels: every level of the VAE but the last halves."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: Tensor, *, fast: bool = False) -> Tensor:
    """Encode pixels (B, 3, H, W) in [0, 1] to scaled latents, the posterior's mean; `fast` uses bfloat16."""
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=fast):
        mean = vae.encode(pixels * 2 - 1).latent_dist.mean
    return mean.float() * vae.config.scaling_factor


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Decode scaled latents to pixels (B, 3, H, W) in [0, 1]."""
    return (vae.decode(latents / vae.config.scaling_factor).sample.float() / 2 + 0.5).clamp(0, 1)


def linear_preview(latents: Tensor, pixels: Tensor) -> dict[str, list]:
    """Fit ComfyUI's live preview: RGB in [-1, 1] as a linear function of a cell's scaled latent.

    latents (B, 4, h, w) and pixels (B, 3, H, W) in [0, 1] of the same pictures -> factors (4, 3), bias (3),
    by least squares.
    """
    rows = latents.movedim(1, -1).flatten(0, 2)
    colours = F.adaptive_avg_pool2d(pixels * 2 - 1, latents.shape[-2:]).movedim(1, -1).flatten(0, 2)
    solution = torch.linalg.lstsq(F.pad(rows, (0, 1), value=1.0), colours).solution
    return {"factors": solution[:-1].tolist(), "bias": solution[-1].tolist()}


def noise_for(seeds: Sequence[int], shape: Sequence[int], device: torch.device | str) -> Tensor:
    """Draw standard normal noise (len(seeds), *shape); each row depends on its seed alone."""
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(device)


def to_arrays(pixels: Tensor) -> np.ndarray:
    """Convert pictures (B, 3, H, W) in [0, 1] to uint8 (B, H, W, 3)."""
    return to_bytes(pixels).movedim(1, -1).cpu().numpy()


def from_arrays(pictures: Sequence[np.ndarray]) -> Tensor:
    """Convert pictures uint8 (H, W, 3) to pixels (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(pictures)).movedim(-1, 1).float() / 255


def grid(pixels: Tensor, columns: int, zoom: int = 1) -> Image.Image:
    """Tile pictures (B, 3, H, W) in [0, 1], `columns` a row."""
    sheet = to_pil_image(make_grid(to_bytes(pixels), nrow=columns, padding=0).cpu())
    return sheet.resize((zoom * sheet.width, zoom * sheet.height), Image.NEAREST)
