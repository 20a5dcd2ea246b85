"""Guides a small box by the attention that a larger box gets, without training (Pan et al. 2024, section 5).

In a box of a few cells the text's words find no place. So the picture is denoised a second time with a larger
box of the same centre, and in the first K steps the latent of the small box is moved, J times a step, until
its cross-attention A is like that of the large one, A':

    L_lg = sum over layers and words of the label: || I(r_large(A')) - r_small(A) ||^2      (eq. 6)
    L_gg = sum over layers and all words:          || A' - A ||^2                           (eq. 7)
    z_t <- z_t - rate * gradient of (L_lg + L_gg)                                           (eqs. 8 and 9)

r cuts a box out of a map, I resizes bilinearly; A' is a constant. Maps are (B, T, h, w), as in
`core.factors.attention`: how much each cell attends to each of the text's T tokens, heads averaged.

Our reading where the paper leaves a choice open: a squared norm is the mean over cells, as in the authors'
code, which the rate of 100 is made for; a box has at least one cell in every layer; words are the tokens
between the text's start and end; the gradient is that of the pass with the text.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.schedule import NoiseSchedule
from ...core.small_objects.boxes import Box

# (x_t (B, C, h, w), t (B,) long, text embeddings (B or 1, L, D)) -> the predicted noise (B, C, h, w), and the
# maps of every layer with cross-attention. Both are differentiable in x_t.
AttentiveDenoiser = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Sequence[Tensor]]]


@dataclass(frozen=True)
class Focus:
    """Where and to what the guidance looks.

    box, large: the small and the large box in a picture of `size`, (width, height) in pixels.
    words: positions of the text's words among its tokens; label: of those that name the object.
    """

    box: Box
    large: Box
    size: tuple[int, int]
    words: Sequence[int]
    label: Sequence[int]


@dataclass(frozen=True, eq=False)
class GuidedStep:
    """A finished sampling step, 1 to total: the latent, and the last loss of a guided step."""

    step: int
    total: int
    latent: Tensor
    loss: Tensor | None


def sample_guided(
    small: AttentiveDenoiser,
    large: AttentiveDenoiser,
    noise: Tensor,
    cond: Tensor,
    empty: Tensor,
    focus: Focus,
    schedule: NoiseSchedule,
    timesteps: Sequence[int],
    *,
    guidance: float = 7.5,
    guided_steps: int = 5,
    iterations: int = 5,
    rate: float = 100.0,
) -> Generator[GuidedStep, None, None]:
    """Sample latents from `noise` (B, C, h, w) by DDIM with classifier-free guidance (algorithm 1).

    small, large: the model with the mask of the small and of the large box. cond, empty: (B or 1, L, D)
    embeddings of the text and of the empty one. timesteps: descending; the last step leads to the clean
    latent. guided_steps: K. iterations: J. The guided box's own latent starts from the same noise.
    Raises ValueError for timesteps that do not descend, and what `attention_loss` refuses.
    """
    if any(later >= earlier for earlier, later in pairwise(timesteps)):
        raise ValueError(f"timesteps: got {list(timesteps)}; give them from the noisiest on, each once.")
    latent, other = noise, noise
    for step, (now, then) in enumerate(zip(timesteps, [*timesteps[1:], None], strict=True)):
        timestep, loss = torch.full((len(noise),), now, device=noise.device), None
        if step < guided_steps:
            predicted, wanted = _predict(large, other, timestep, cond, empty, guidance)
            other = _ddim(schedule, other, predicted, timestep, then)
            for _ in range(iterations):
                latent, loss = pull(small, latent, timestep, cond, wanted, focus, rate)
        predicted, _ = _predict(small, latent, timestep, cond, empty, guidance)
        latent = _ddim(schedule, latent, predicted, timestep, then)
        yield GuidedStep(step + 1, len(timesteps), latent, loss)


def pull(
    denoiser: AttentiveDenoiser,
    latent: Tensor,
    timestep: Tensor,
    cond: Tensor,
    wanted: Sequence[Tensor],
    focus: Focus,
    rate: float,
) -> tuple[Tensor, Tensor]:
    """Move a latent one step towards attention like `wanted` (eq. 9); -> it, and the loss before the step."""
    with torch.enable_grad():
        latent = latent.detach().requires_grad_(True)
        _, maps = denoiser(latent, timestep, cond)
        loss = attention_loss(maps, wanted, focus)
        (gradient,) = torch.autograd.grad(loss, latent)
    return (latent - rate * gradient).detach(), loss.detach()


def attention_loss(maps: Sequence[Tensor], wanted: Sequence[Tensor], focus: Focus) -> Tensor:
    """L_lg + L_gg (eq. 8) of the small box's maps, a layer each, and the large box's; summed over the rows.

    Raises ValueError when the two are not of the same layers and sizes, or hold nothing.
    """
    shapes = [[tuple(layer.shape) for layer in layers] for layers in (maps, wanted)]
    if shapes[0] != shapes[1] or not maps:
        raise ValueError(f"maps: got {shapes[0]}, but wanted are {shapes[1]}; record both of one model.")
    total = torch.zeros((), dtype=maps[0].dtype, device=maps[0].device)
    for layer, other in zip(maps, wanted, strict=True):
        words, label = list(focus.words), list(focus.label)
        inside = _cut(layer[:, label], focus.box, focus.size)
        goal = _cut(other[:, label], focus.large, focus.size)
        goal = F.interpolate(goal, inside.shape[-2:], mode="bilinear", align_corners=False)
        for difference in (goal - inside, other[:, words] - layer[:, words]):
            total = total + difference.square().mean(dim=(-2, -1)).sum()
    return total


def enlarged(box: Box, factor: float, size: tuple[int, int]) -> Box:
    """The box with `factor` times its sides around the same centre; by less where that would leave `size`."""
    width, height = size
    across, down = box.x + box.right, box.y + box.bottom  # twice the centre
    factor = min(
        factor,
        *(span / box.width for span in (across, 2 * width - across)),
        *(span / box.height for span in (down, 2 * height - down)),
    )
    x, y = round((across - factor * box.width) / 2), round((down - factor * box.height) / 2)
    return Box(x, y, across - 2 * x, down - 2 * y)


def _cut(maps: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """Cut the cells that a box of a picture of `size` touches out of maps (B, T, h, w)."""
    width, height = size
    rows, columns = maps.shape[-2:]
    top, bottom = box.y * rows // height, -(-box.bottom * rows // height)
    left, right = box.x * columns // width, -(-box.right * columns // width)
    return maps[..., top:bottom, left:right]


@torch.no_grad()
def _predict(
    denoiser: AttentiveDenoiser,
    latent: Tensor,
    timestep: Tensor,
    cond: Tensor,
    empty: Tensor,
    guidance: float,
) -> tuple[Tensor, Sequence[Tensor]]:
    """Predict the noise with classifier-free guidance; -> it, and the maps of the pass with the text."""
    with_text, maps = denoiser(latent, timestep, cond)
    maps = [layer.detach() for layer in maps]
    without, _ = denoiser(latent, timestep, empty)
    return without + guidance * (with_text - without), maps


def _ddim(schedule: NoiseSchedule, latent: Tensor, noise: Tensor, now: Tensor, then: int | None) -> Tensor:
    """Take a deterministic step of DDIM (Song et al. 2021, eq. 12), to the clean latent if `then` is None."""
    clean = schedule.predict_clean(latent, noise, now)
    return clean if then is None else schedule.add_noise(clean, noise, torch.full_like(now, then))
