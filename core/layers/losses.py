"""LayerDiffusion's loss on pictures in layers; the model learns one part of each (eqs. 2, 4 to 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images import unit_mask
from ..schedule import Denoiser, NoiseSchedule
from ..seeds import mix


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture, and how much each of its cells counts; `Layer.of` and `split_layers` make it.

    latent: (1, C, h, w) float32, scaled as the model reads it. mask: (1, 1, h, w) float32 in [0, 1].
    """

    latent: Tensor
    mask: Tensor

    @classmethod
    def of(cls, latent: Tensor, mask: Tensor | None = None, name: str = "latent") -> Layer:
        """Make a layer of the part of a picture under `mask`, (H, W) in pixels of any size; None takes all.

        latent: (1, C, h, w) of the picture; `name` is what messages call it. Raises ValueError for another
        shape, values that are not finite, a mask outside [0, 1] and an empty one.
        """
        if latent.ndim != 4 or len(latent) != 1 or latent.numel() == 0:
            raise ValueError(f"{name} must be of one picture (1, C, h, w), got {tuple(latent.shape)}.")
        if not bool(torch.isfinite(latent).all()):
            raise ValueError(f"{name} holds values that are NaN or infinite; encode the picture in float32.")
        size = latent.shape[-2:]
        with torch.inference_mode(
            False
        ):  # autograd keeps these tensors, which is forbidden for tensors of inference mode
            cells = torch.ones(1, 1, *size) if mask is None else area_mask(_checked(mask), size)
            return cls(latent.detach().to(torch.float32, copy=True), cells.to(latent.device))


def split_layers(photo: Tensor, reference: Tensor, mask: Tensor) -> tuple[Layer, Layer]:
    """Make two layers: the object as the photo shows it, the background as the reference shows it.

    photo, reference: latents (1, C, h, w), each of its own size. mask: (H, W) in [0, 1] in pixels, 1 on the
    object. Raises ValueError as `Layer.of`, and for a mask that leaves no background.
    """
    mask = _checked(mask)
    if bool((mask == 1).all()):
        raise ValueError("mask is 1 everywhere, which leaves no background; select the object alone.")
    return Layer.of(photo, mask, "photo"), Layer.of(reference, 1 - mask, "reference")


def area_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Average `mask` (H, W) over the area of each cell of `size` (h, w): (1, 1, h, w) float32.

    A pixel cut by a cell's edge counts with its part inside, so any two sizes fit.
    """
    rows, columns = (_coverage(mask.shape[-2 + axis], size[axis]) for axis in (0, 1))
    means = rows @ mask.cpu().double() @ columns.T
    return means.clamp(0, 1).float()[None, None]


def masked_mse(predicted: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """||mask * (predicted - noise)||^2 over C * ||mask||^2: the mean squared error under the mask, scalar.

    Averaged over the layer and not over the picture, since then neither the gradient nor what the weights of
    the layers mean depends on how large the object is: 2 to 1 says that its error counts twice as much as
    the background's. On a mask of half the picture this is twice the mean over all, which Adam does not see.
    """
    return (mask * (predicted - noise)).square().sum() / (mask.square().sum() * noise.shape[1])


def draw(
    seed: int, step: int, shape: Sequence[int], timesteps: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draw a step's timestep (1,) out of `timesteps`, and noise of `shape`; the same on every device.

    Layers of one shape share their noise, as in eqs. 2 to 5; all layers share the timestep.
    """
    generator = torch.Generator().manual_seed(mix(seed, step))
    timestep = torch.randint(timesteps, (1,), generator=generator)
    noise = torch.randn(*shape, generator=generator)
    return timestep.to(device, non_blocking=True), noise.to(device, non_blocking=True)


class LayeredLoss:
    """sum over the layers of weight * masked_mse(eps_theta(x_t, t, embedding), eps, mask)."""

    def __init__(
        self,
        denoiser: Denoiser,
        layers: Sequence[Layer],
        embeddings: Sequence[Tensor],
        weights: Sequence[float],
        schedule: NoiseSchedule,
    ) -> None:
        """embeddings: (1, L, D) each; one for each layer, as are the weights. All on one device."""
        self.denoiser, self.layers, self.embeddings, self.weights = denoiser, layers, embeddings, weights
        self.device = layers[0].latent.device
        self.schedule = NoiseSchedule(schedule.alphas_cumprod.to(self.device))

    def __call__(self, seed: int, step: int) -> Tensor:
        """Compute the loss of a step, a scalar."""
        timestep, noises = self._draw(seed, step)
        _, predicted = self._predict(timestep, noises)
        losses = [
            weight * masked_mse(found, noise, layer.mask)
            for weight, found, noise, layer in zip(self.weights, predicted, noises, self.layers, strict=True)
        ]
        return torch.stack(losses).sum()

    @property
    def scale(self) -> float:
        """Factor for the loss, a power of two, that lets its gradient survive half precision.

        An error of d in one value of a layer of n gives a gradient of 2 d / n, and smaller ones behind
        it, which float16 rounds to zero; times n / 16 they stay clear of both ends of its range.
        """
        smallest = min(
            float(layer.mask.square().sum()) * layer.latent.shape[1] / weight
            for layer, weight in zip(self.layers, self.weights, strict=True)
        )
        return 2.0 ** round(math.log2(smallest / 16))

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Put the layers together as the model sees them through half of all noise: (1, C, h, w).

        The noise is always the same, so that changes show what was learnt; layers of other sizes are
        left out.
        """
        timestep, noises = self._draw(0, 0)
        timestep = torch.full_like(timestep, len(self.schedule) // 2)
        noisy, predicted = self._predict(timestep, noises)
        picture, *rest = map(self.schedule.predict_clean, noisy, predicted, [timestep] * len(noisy))
        for other, layer in zip(rest, self.layers[1:], strict=True):
            if other.shape == picture.shape:
                picture = torch.lerp(picture, other, layer.mask)
        return picture

    def _draw(self, seed: int, step: int) -> tuple[Tensor, list[Tensor]]:
        """Draw the timestep (1,) and each layer's noise."""
        drawn = [
            draw(seed, step, layer.latent.shape, len(self.schedule), self.device) for layer in self.layers
        ]
        return drawn[0][0], [noise for _, noise in drawn]

    def _predict(self, timestep: Tensor, noises: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Noise each layer and predict its noise, float32; layers of one shape go in one pass."""
        noisy = [
            self.schedule.add_noise(layer.latent, noise, timestep)
            for layer, noise in zip(self.layers, noises, strict=True)
        ]
        if len({latent.shape for latent in noisy}) == 1:
            batch = torch.cat(noisy), timestep.repeat(len(noisy)), torch.cat(list(self.embeddings))
            return noisy, list(self.denoiser(*batch).float().split(1))
        pairs = zip(noisy, self.embeddings, strict=True)
        return noisy, [self.denoiser(latent, timestep, text).float() for latent, text in pairs]


def _checked(mask: Tensor) -> Tensor:
    """Check a mask (H, W) and return it in float64."""
    if mask.ndim != 2 or mask.numel() == 0:
        raise ValueError(f"mask must be of one picture (height, width), got {tuple(mask.shape)}.")
    mask = unit_mask(mask)
    if not bool(mask.any()):
        raise ValueError("mask is empty (0 everywhere); select the object.")
    return mask.cpu().double()


def _coverage(pixels: int, cells: int) -> Tensor:
    """Part of each cell that each pixel covers, (cells, pixels) float64."""
    edges = torch.arange(cells + 1, dtype=torch.float64) * (pixels / cells)
    starts = torch.arange(pixels, dtype=torch.float64)
    inside = torch.minimum(edges[1:, None], starts + 1) - torch.maximum(edges[:-1, None], starts)
    return inside.clamp(min=0) * (cells / pixels)
