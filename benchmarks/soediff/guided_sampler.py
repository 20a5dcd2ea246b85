"""The training-free rival of SOEDiff as a node, for the comparison with the peers only (Pan et al. 2024).

A bridge file in ComfyUI's custom_nodes makes it known, with the single line

    from finesse.benchmarks.soediff.guided_sampler import comfy_entrypoint
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.sample
import torch
from comfy.utils import ProgressBar
from comfy_api.latest import ComfyExtension, io
from torch import Tensor

from ...core.factors.attention import token_map
from ...core.small_objects.boxes import Box
from ...nodes.layers.model_denoiser import TrainableModel
from ...nodes.layers.model_mirror import ordinary
from .attention_guidance import Focus, sample_guided


class GuidedBoxSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseGuidedBoxSampler",
            display_name="Guided Box Sampler",
            category="Finesse/benchmarks",
            description="Samples a small box whose first steps are guided by the attention of a larger box.",
            inputs=[
                io.Model.Input("model", tooltip="An inpainting model."),
                io.Clip.Input("clip", tooltip="Tells which tokens are the text's words."),
                io.Conditioning.Input("positive", tooltip="The text, with the mask of the small box."),
                io.Conditioning.Input("negative", tooltip="The empty text."),
                io.Conditioning.Input("large", tooltip="The text, with the mask of the large box."),
                io.Latent.Input("latent", tooltip="The picture's latent."),
                io.BoundingBox.Input("box", tooltip="The small box."),
                io.BoundingBox.Input("large_box", tooltip="The large box around the same centre."),
                io.Int.Input("width", default=512, tooltip="Width of the picture in pixels."),
                io.Int.Input("height", default=512, tooltip="Height of the picture in pixels."),
                io.String.Input("text", tooltip="What the positive prompt says."),
                io.String.Input("label", tooltip="The last words of it, which name the object."),
                io.Int.Input("seed", default=0, max=2**64 - 1, tooltip="Seed of the noise."),
                io.Int.Input("steps", default=25, min=1, tooltip="Sampling steps."),
                io.Float.Input("cfg", default=7.5, tooltip="Classifier-free guidance."),
                io.Int.Input("guided_steps", default=5, min=0, tooltip="First steps that are guided."),
                io.Int.Input("iterations", default=5, min=1, tooltip="Updates in a guided step."),
                io.Float.Input("rate", default=100.0, tooltip="Length of an update, times the gradient."),
            ],
            outputs=[io.Latent.Output(tooltip="The sampled latent.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        positive: Any,
        negative: Any,
        large: Any,
        latent: dict[str, Tensor],
        box: dict[str, int],
        large_box: dict[str, int],
        width: int,
        height: int,
        text: str,
        label: str,
        seed: int,
        steps: int,
        cfg: float,
        guided_steps: int,
        iterations: int,
        rate: float,
    ) -> io.NodeOutput:
        end = 1 + count_words(clip, text)
        focus = Focus(
            Box.from_dict(box),
            Box.from_dict(large_box),
            (width, height),
            words=range(1, end),
            label=range(end - count_words(clip, label), end),
        )
        given = latent["samples"]
        clean, noise = model.model.process_latent_in(given), comfy.sample.prepare_noise(given, seed)
        (text_cond, values), (empty, _), (_, values_large) = (each[0] for each in (positive, negative, large))
        progress, found = ProgressBar(steps), given
        with attentive(model, values) as small, attentive(model, values_large) as other:
            schedule, device = small.model.schedule, small.model.device
            alpha, _ = schedule.alpha_sigma(torch.tensor([len(schedule) - 1]), clean)
            start = ordinary(noise + alpha * clean)  # as core's samplers start
            for step in sample_guided(
                small,
                other,
                start.to(device),
                ordinary(text_cond).to(device),
                ordinary(empty).to(device),
                focus,
                schedule,
                torch.linspace(len(schedule) - 1, 0, steps).round().long().tolist(),
                guidance=cfg,
                guided_steps=guided_steps,
                iterations=iterations,
                rate=rate,
            ):
                found = step.latent
                progress.update_absolute(step.step)
        return io.NodeOutput({"samples": model.model.process_latent_out(found).to(given.device)})


class AttentiveModel:
    """A MODEL as an `AttentiveDenoiser`."""

    def __init__(self, model: TrainableModel, recorder: CrossAttentionRecorder) -> None:
        self.model, self._recorder = model, recorder

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> tuple[Tensor, list[Tensor]]:
        self._recorder.maps = []
        return self.model(x_t, t, cond), self._recorder.maps


@contextmanager
def attentive(model: Any, values: dict[str, Any]) -> Iterator[AttentiveModel]:
    """Make a MODEL an attentive denoiser in the block; `values` as for `TrainableModel`."""
    recorder, clone = CrossAttentionRecorder(), model.clone()
    unet = model.get_model_object("diffusion_model")
    places = {"input": len(unet.input_blocks), "middle": 1, "output": len(unet.output_blocks)}
    for name, count in places.items():
        for number in range(count):
            clone.set_model_attn2_replace(recorder, name, number)
    with TrainableModel(clone, values, recompute=False) as trainable:
        yield AttentiveModel(trainable, recorder)


class CrossAttentionRecorder:
    """Computes cross-attention in the place of ComfyUI, and keeps its maps (B, T, h, w) in `maps`."""

    def __init__(self) -> None:
        self.maps: list[Tensor] = []

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
        heads = options["n_heads"]
        query, key, value = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)
        )  # B, heads, cells or tokens, width
        probabilities = (query @ key.mT * query.shape[-1] ** -0.5).softmax(dim=-1)
        self.maps.append(token_map(probabilities.mean(dim=1), tuple(options["activations_shape"][-2:])))
        return (probabilities @ value).transpose(1, 2).flatten(2)


def count_words(clip: Any, text: str) -> int:
    """Number of a text's tokens between its start and its end."""
    (_, (end, *_), *_), found = (next(iter(clip.tokenize(words).values()))[0] for words in ("", text))
    return [token for token, *_ in found].index(end, 1) - 1


class GuidedExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [GuidedBoxSampler]


async def comfy_entrypoint() -> GuidedExtension:
    return GuidedExtension()
