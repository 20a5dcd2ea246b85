"""LayerDiffusion: changes the object of one photo and replaces its background (paper, section 3.2).

First the texts' embeddings are fitted to the layers, then the model to the embeddings' mixture; sampling
alternates between the mixture and the object's text as the text encoder gives it, for the fitted one carries
the photo's own action. With the whole picture as the one layer the same functions are Imagic (Kawar et al.
2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..schedule import Denoiser, NoiseSchedule
from .losses import Layer, LayeredLoss

FULL, LOW_RANK = "full", "low-rank"
RATES = {FULL: 2e-6, LOW_RANK: 1e-4}  # the paper's rate; low-rank weights begin at zero and need a higher one
CHECK_EVERY = 10  # steps between two checks of the losses, since each check waits for the device


@dataclass(frozen=True, eq=False)
class Progress:
    """A finished step of learning.

    step: 1 to total. loss: scalar float32 of the step; reading it waits for the device. embeddings: copies
    of the optimised embeddings as of now, (1, L, D) float32; none while the model is fine-tuned. preview:
    makes (1, C, h, w), the clean latent that the model sees in the noised layers now, by one more pass.
    """

    step: int
    total: int
    loss: Tensor
    embeddings: tuple[Tensor, ...]
    preview: Callable[[], Tensor]


Steps = Generator[Progress, None, None]


def optimise_embeddings(
    denoiser: Denoiser,
    layers: Sequence[Layer],
    embeddings: Sequence[Tensor],
    schedule: NoiseSchedule,
    *,
    seed: int,
    steps: int = 500,
    learning_rate: float = 1e-3,
) -> Steps:
    """Fit each layer's text embedding to it, the model frozen (eq. 2), by Adam; yields after each step.

    layers: the object and the background of `split_layers`, or one `Layer.of` a whole picture. embeddings:
    (1, L, D), of one length, where to start; they are not changed. The result is `embeddings` of the last
    progress, so that whoever closes the generator early has one too. Learns in float32, whatever the
    denoiser computes in; nothing of the model receives a gradient. Checkpointing must be non-reentrant.
    Raises ValueError for input that does not fit, and, at most CHECK_EVERY steps late, for a loss that is not
    finite.
    """
    _check_steps(steps, learning_rate)
    _check_embeddings(embeddings)
    if not layers or len(embeddings) != len(layers):
        raise ValueError(f"embeddings: got {len(embeddings)} for {len(layers)} layers; give one for each.")
    learnt = [_copy(embedding, layers[0]) for embedding in embeddings]
    loss = LayeredLoss(denoiser, layers, learnt, [1.0] * len(layers), schedule)
    return _descend(loss, learnt, learnt, seed, steps, learning_rate)


def interpolate(first: Tensor, second: Tensor, alpha: float = 0.7) -> Tensor:
    """alpha * first + (1 - alpha) * second (eq. 3), float32 on the device of `first`; at 1 and 0 exactly one.

    The object's embedding comes first. Raises ValueError when they differ in shape.
    """
    _check_embeddings([first, second])
    return torch.lerp(second.to(first.device, torch.float32), first.float(), alpha)


def same_length(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat two embeddings (1, L, D) to the least length that is a multiple of both.

    Attention over a text repeated as a whole equals attention over the text.
    """
    length = math.lcm(first.shape[1], second.shape[1])
    return first.repeat(1, length // first.shape[1], 1), second.repeat(1, length // second.shape[1], 1)


def fine_tune(
    denoiser: Denoiser,
    layers: Sequence[Layer],
    weights: Sequence[float],
    embedding: Tensor,
    parameters: Sequence[Tensor],
    schedule: NoiseSchedule,
    *,
    seed: int,
    steps: int = 250,
    learning_rate: float = 2e-6,
) -> Steps:
    """Fit the model to the layers at one frozen embedding (eqs. 4 to 6), by Adam; yields after each step.

    weights: of each layer's loss, for object and background 2 and 1 (3 and 1 for small objects); a layer of
    weight 0 is not computed. embedding: (1, L, D). parameters: float32 tensors that the denoiser computes
    with, all of the model's or low-rank ones. They learn in place and keep what they have learnt when the
    generator is closed early or fails; what they required of gradients is then as before. Raises ValueError
    as `optimise_embeddings`, and for parameters that cannot learn.
    """
    _check_steps(steps, learning_rate)
    _check_embeddings([embedding])
    _check_parameters(parameters)
    if len(weights) != len(layers):
        raise ValueError(f"weights: got {len(weights)} for {len(layers)} layers; give one for each.")
    if not (all(0 <= weight < math.inf for weight in weights) and any(weights)):
        raise ValueError(f"weights: got {list(weights)}; give numbers from 0, at least one of them above it.")
    kept = [(layer, float(weight)) for layer, weight in zip(layers, weights, strict=True) if weight]
    layers, weights = [layer for layer, _ in kept], [weight for _, weight in kept]
    frozen = _copy(embedding, layers[0])
    loss = LayeredLoss(denoiser, layers, [frozen] * len(layers), weights, schedule)
    return _descend(loss, parameters, (), seed, steps, learning_rate)


def object_steps(within: Sequence[bool], every: int) -> list[bool]:
    """Tell for each sampling step whether the object's text guides it, and not the mixture (eq. 8).

    within: whether each step may be. Every `every`-th of all steps is, counted from the first whether
    it may be or not; with 0 none is. Raises ValueError for an `every` below 0.
    """
    if every < 0:
        raise ValueError(f"every is {every}; give 1 for all steps, 2 for every second, 0 for none.")
    return [bool(every) and may and step % every == 0 for step, may in enumerate(within, start=1)]


def _descend(
    loss: LayeredLoss,
    parameters: Sequence[Tensor],
    results: Sequence[Tensor],
    seed: int,
    steps: int,
    learning_rate: float,
) -> Steps:
    before = [(parameter.requires_grad, parameter.grad) for parameter in parameters]
    fused = parameters[0].device.type in ("cpu", "cuda")
    unchecked: list[Tensor] = []
    try:
        for parameter in parameters:
            parameter.grad = None
            parameter.requires_grad_(True)
        optimizer = torch.optim.Adam(parameters, learning_rate, fused=fused)
        scale = loss.scale
        for step in range(steps):
            # no context may be open at the yield: it would apply to the caller as well
            with torch.inference_mode(False), torch.enable_grad():
                value = _step(loss(seed, step), scale, parameters, optimizer)
                copies = tuple(result.detach().clone() for result in results)
            unchecked.append(value)
            if (step + 1) % CHECK_EVERY == 0 or step + 1 == steps:
                _check_losses(unchecked, step + 1, steps, learning_rate)
                unchecked.clear()
            yield Progress(step + 1, steps, value, copies, loss.preview)
    finally:
        for parameter, (required, gradient) in zip(parameters, before, strict=True):
            parameter.requires_grad_(required).grad = gradient


def _step(
    loss: Tensor, scale: float, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> Tensor:
    (loss * scale).backward(inputs=list(parameters))
    torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], 1 / scale)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def _copy(embedding: Tensor, layer: Layer) -> Tensor:
    """Copy an embedding to the layer's device as an ordinary float32 tensor, even out of inference mode."""
    with torch.inference_mode(False):
        return embedding.detach().to(layer.latent.device, torch.float32, copy=True)


def _check_losses(losses: Sequence[Tensor], done: int, steps: int, learning_rate: float) -> None:
    values = torch.stack(list(losses)).tolist()
    for step, value in enumerate(values, start=done - len(values) + 1):
        if not math.isfinite(value):
            raise ValueError(
                f"The loss is {value} at step {step} of {steps}: lower learning_rate ({learning_rate:g}); "
                "if it fails from the first step, let the model compute in bfloat16 or float32."
            )


def _check_steps(steps: int, learning_rate: float) -> None:
    if steps < 1:
        raise ValueError(f"steps: got {steps}; give at least 1.")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate: got {learning_rate}; give a number above 0.")


def _check_embeddings(embeddings: Sequence[Tensor]) -> None:
    shapes = [tuple(embedding.shape) for embedding in embeddings]
    if any(len(shape) != 3 or shape[0] != 1 for shape in shapes):
        raise ValueError(f"embeddings must be of one text each (1, tokens, width), got {shapes}.")
    if len(set(shapes)) > 1:
        raise ValueError(
            f"embeddings differ in shape, {shapes}; pad the shorter text to the longer one's tokens."
        )
    if not all(bool(torch.isfinite(embedding).all()) for embedding in embeddings):
        raise ValueError("embeddings hold values that are NaN or infinite; encode the text in float32.")


def _check_parameters(parameters: Sequence[Tensor]) -> None:
    if not parameters:
        raise ValueError("parameters: got none; give those of the model that are to learn.")
    for parameter in parameters:
        if parameter.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"parameters: one is {parameter.dtype}, too coarse for steps this small; give float32 ones, "
                "and let the denoiser compute in half precision by autocast."
            )
        if parameter.is_inference():
            raise ValueError(
                "parameters: one was made in inference mode and cannot learn; clone it outside of that mode."
            )
