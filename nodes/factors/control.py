"""A factor of FG-DM as one of ComfyUI's controls: any stock sampler then samples its condition map.

A ControlNet's hint stands still; a factor reads the noisy latent and the timestep at every step. Everything
else is as with stock controls: strength, start and end, stacking, masks, areas, memory, several GPUs.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.controlnet
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from typing_extensions import override

from ...core.factors.adapter import Factor
from ...core.factors.files import SEGMENTATION, FactorInfo, convert_checkpoint, read_factor
from ...core.maps.palettes import COCO_STUFF_FGDM
from ..types import Conditioning

PARENT = "parent"  # what the inputs for them are called, with a number behind it
TRAINED_SIDES = (32, 32)  # latent cells of the maps that most factors are trained on, 256 pixels

# What stands for a parent of a factor:
# - a Tensor (B, 4, h, w): its finished map as a LATENT's samples, in the VAE's scale
# - a function of the step's sigma, for a parent that is sampled alongside: its latent (B, 4, h, w) as the
#   base's UNet reads it (`model_sampling.calculate_input`; x / sqrt(sigma^2 + 1) in Stable Diffusion)
# - None for a parent that is left out: the factor reads zeros, as it was trained to
Parent = Tensor | Callable[[float], Tensor] | None


@dataclass(frozen=True)
class LoadedFactor:
    """A factor in ComfyUI's hands: `patcher` is a ModelPatcher, its `model` the Factor."""

    name: str
    info: FactorInfo
    patcher: Any


def load_factor(path: str | Path, condition: str = SEGMENTATION) -> LoadedFactor:
    """The factor in a factor file, or in a checkpoint of the authors' code (any other ending).

    Such a checkpoint does not say what its maps are: `condition` does, and a segmentation is in the palette
    that the authors train with. Errors as of `read_factor` and `convert_checkpoint`.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        factor, info = read_factor(path, operations=comfy.ops.manual_cast)
    else:
        factor = convert_checkpoint(path, operations=comfy.ops.manual_cast)
        info = _authors_info(factor, condition)
    return LoadedFactor(path.name, info, _managed(factor.eval().requires_grad_(False)))


def _authors_info(factor: Factor, condition: str) -> FactorInfo:
    count = len(factor.adapters)
    return FactorInfo(
        condition=condition,
        palette=COCO_STUFF_FGDM.name if condition == SEGMENTATION else "",
        base="Stable Diffusion 1.x",
        parents=tuple(f"parent {i}" for i in range(1, count + 1)) if count > 1 else (),
        trained={"by": "the authors of FG-DM"},
    )


def _managed(factor: Factor) -> ModelPatcher:
    return comfy.model_patcher.CoreModelPatcher(
        factor,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def controlled(
    conditioning: Conditioning,
    factor: LoadedFactor,
    strength: float,
    start: float,
    end: float,
    parents: Sequence[Parent],
    cache: dict[Any, FactorControl],
) -> Conditioning:
    """`conditioning` with the factor on top of each entry's own control, as core's *Apply ControlNet* does.

    strength: 1 is as trained; at 0 nothing is put on top. start, end: fractions of the sampling.
    parents: see `FactorControl`. cache: the controls made so far by the one below; give positive and negative
    the same one, for entries are sampled in one batch only if they have the same control.
    """
    if strength == 0:
        return conditioning
    entries = []
    for text, values in conditioning:
        previous = values.get("control")
        if previous not in cache:
            control = FactorControl(factor, parents).set_cond_hint(None, strength, (start, end))
            cache[previous] = control.set_previous_controlnet(previous)
        entries.append([text, {**values, "control": cache[previous], "control_apply_to_uncond": False}])
    return entries


class FactorControl(comfy.controlnet.ControlBase):
    """The control: adds the factor's features to what each level of the base UNet's encoder puts out.

    parents: one a parent of the factor, in the order of its info; empty for a first factor, which reads the
    latent that is sampled. Rows of a parent's batch go to the rows of the sampled one, and are repeated when
    there are fewer. A parent of another size is resized bilinearly; in a conditioning area the whole parent
    is shrunk into it, as a ControlNet does with its picture, for no control is told where its area lies.
    """

    def __init__(self, factor: LoadedFactor, parents: Sequence[Parent] = ()) -> None:
        super().__init__()
        names = factor.info.parents
        if len(parents) != len(names):
            reads = f"reads {len(names)} ({', '.join(names)})" if names else "reads only what it samples"
            raise ValueError(f"parents: got {len(parents)}, but {factor.name} {reads}")
        self.factor = factor
        self.parents = tuple(parents)
        self.base: Any = None
        self.cells = 0
        self.expect(2, *TRAINED_SIDES)  # with prompt and without
        for parent in self.parents:
            if isinstance(parent, Tensor):
                self.expect(2 * len(parent), *parent.shape[-2:])

    def expect(self, rows: int, height: int, width: int) -> None:
        """Have memory kept free for latents (rows, C, height, width), besides what is expected already."""
        self.cells = max(self.cells, rows * height * width)

    @override
    def inference_memory_requirements(self, dtype: torch.dtype) -> float:
        """Bytes besides the weights, for the largest latents expected or seen, and of the controls below."""
        own = self.factor.patcher.model.peak_bytes(self.cells, comfy.model_management.dtype_size(dtype))
        return own + super().inference_memory_requirements(dtype)

    @override
    def pre_run(self, model: Any, percent_to_timestep_function: Callable[[float], float]) -> None:
        super().pre_run(model, percent_to_timestep_function)
        self._check_base(model)
        self.base = model

    @override
    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any
    ) -> dict[str, list[Tensor | None]] | None:
        previous = None
        if self.previous_controlnet is not None:
            previous = self.previous_controlnet.get_control(
                x_noisy, t, cond, batched_number, transformer_options
            )
        start, end = self.timestep_range
        if self.strength == 0 or t[0] > start or t[0] < end:
            return previous
        self.expect(len(x_noisy), *x_noisy.shape[-2:])
        x = self.base.model_sampling.calculate_input(t, x_noisy).to(self.base.get_dtype_inference())
        features = self.factor.patcher.model(self._read(x, t, batched_number), self._time_embedding(x, t))
        return self.control_merge(self._placed(features), previous, output_dtype=None)

    def _read(self, x: Tensor, t: Tensor, chunks: int) -> list[Tensor]:
        """What each adapter reads, of x's shape."""
        if not self.parents:
            return [x]
        sigma = float(t[0])
        return [torch.zeros_like(x) if p is None else self._parent(p, sigma, x, chunks) for p in self.parents]

    def _parent(
        self, parent: Tensor | Callable[[float], Tensor], sigma: float, x: Tensor, chunks: int
    ) -> Tensor:
        latent = self.base.process_latent_in(parent) if isinstance(parent, Tensor) else parent(sigma)
        latent = latent.to(x)
        if latent.shape[-2:] != x.shape[-2:]:
            height, width = x.shape[-2:]
            latent = comfy.utils.common_upscale(latent, width, height, "bilinear", "disabled")
        return comfy.controlnet.broadcast_image_to(latent, len(x), chunks).expand(len(x), -1, -1, -1)

    def _time_embedding(self, x: Tensor, t: Tensor) -> Tensor | None:
        """The base's own, (B, E); of SDXL's without what it adds for size and pooled text (`label_emb`)."""
        if self.factor.patcher.model.time_width is None:
            return None
        unet = self.base.diffusion_model
        timesteps = self.base.model_sampling.timestep(t).float()
        return unet.time_embed(timestep_embedding(timesteps, unet.model_channels).to(x.dtype))

    def _placed(self, features: list[Tensor]) -> dict[str, list[Tensor | None]]:
        """One entry for each input block of the UNet, the last block's first, as core's UNet pops them."""
        unet = self.base.diffusion_model
        entries: list[Tensor | None] = [None] * len(unet.input_blocks)
        block = 0  # the convolution before the first level
        for feature, count in zip(features, unet.num_res_blocks, strict=True):
            entries[block + count] = feature
            block += count + 1  # and the block that halves
        return {"input": entries[::-1], "middle": [], "output": []}

    def _check_base(self, model: Any) -> None:
        factor, unet = self.factor.patcher.model, model.diffusion_model
        trained = f"{self.factor.name} was trained for {self.factor.info.base}"
        if not hasattr(unet, "input_blocks"):
            raise ValueError(
                f"model: {trained}, which has a UNet, and the model that samples has none"
                f" ({type(unet).__name__}); load the base that the factor was trained for"
            )
        widths = tuple(unet.model_channels * multiple for multiple in unet.channel_mult)
        time_width = unet.time_embed[-1].out_features
        if factor.widths != widths or factor.time_width not in (None, time_width):
            raise ValueError(
                f"model: {trained} with {_shape(factor.widths, factor.time_width)}, and the model that"
                f" samples ({type(model.model_config).__name__}) has {_shape(widths, time_width)};"
                " load the base that the factor was trained for"
            )

    @override
    def copy(self) -> FactorControl:
        control = FactorControl(self.factor, self.parents)
        self.copy_to(control)
        control.cells = self.cells
        return control

    def cut_parents(self, cut: Callable[[Tensor], Tensor]) -> None:
        """Put of each finished parent, which shows the whole picture, what `cut` makes of it."""
        self.parents = tuple(cut(parent) if isinstance(parent, Tensor) else parent for parent in self.parents)

    @override
    def deepclone_multigpu(self, load_device: torch.device, autoregister: bool = False) -> FactorControl:
        patcher = ModelPatcher(
            copy.deepcopy(self.factor.patcher.model),
            load_device=load_device,
            offload_device=comfy.model_management.unet_offload_device(),
        )
        control = self.copy()
        control.factor = dataclasses.replace(self.factor, patcher=patcher)
        if autoregister:
            self.multigpu_clones[load_device] = control
        return control

    @override
    def get_models(self) -> list[Any]:
        return [*super().get_models(), self.factor.patcher]

    @override
    def cleanup(self) -> None:
        self.base = None
        super().cleanup()


def _shape(widths: Sequence[int], time_width: int | None) -> str:
    """Of a UNet's encoder, in words."""
    time = f" and a time embedding of {time_width}" if time_width else ""
    return f"levels of {', '.join(map(str, widths))} channels{time}"
