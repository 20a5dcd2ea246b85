"""Wraps ComfyUI's MODEL as a denoiser (x_t, t, cond) -> eps, with gradients to texts or weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.utils
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_sampling import EPS, V_PREDICTION, ModelSamplingDiscrete
from comfy.ops import QuantizedTensor
from comfy.weight_adapter.lora import LoraDiff
from torch import Tensor, nn
from typing_extensions import Self

from ...core.low_rank import initial_low_rank
from ...core.schedule import NoiseSchedule
from .model_mirror import (
    add_low_rank,
    attention_with_gradient,
    compute_blocks_again,
    matrices,
    mirror,
    ordinary,
    passing_gradients,
)
from .training_memory import compute_dtype

PREFIX = "diffusion_model."  # before the UNet's weights in ComfyUI's names, and so in LORA_MODEL
FULL_TYPES = (torch.float32, torch.float16, torch.bfloat16)


class TrainableModel:
    """Makes a MODEL a denoiser for the length of a `with` block; the MODEL itself is not changed.

        with TrainableModel(model, positive[0][1]) as denoiser:
            parameters = denoiser.add_low_rank(16, seed=0)
            loss = (denoiser(x_t, t, cond) - noise).square().mean()

    Inside, inference mode is off and gradients are on, as ComfyUI's nodes need them; tensors from outside
    must go through `ordinary` before they take part in a loss. The LoRAs and the patches of the UNet on
    `model` count; what wraps the sampling around it does not. Nothing of this is registered on the model: it
    works on a mirror of the UNet, which shares the loaded weights and goes when the block ends, as it may.

    values: the dict of a CONDITIONING's entry, of which an SDXL reads `pooled_output` and sizes, and an
    inpainting model `concat_latent_image` and `concat_mask`.
    memory: bytes that ComfyUI is asked to make room for besides the weights, see `training_memory`.
    recompute: gradient checkpointing, a forward pass more for a fraction of the memory.

    Raises ValueError for a model that is no UNet predicting eps or v over discrete timesteps (SD1.x, SD2.x,
    SDXL), for one whose weights are quantised, and for an SDXL without `pooled_output` in `values`.
    """

    def __init__(
        self, model: Any, values: Mapping[str, Any] | None = None, *, memory: int = 0, recompute: bool = True
    ) -> None:
        check_trainable(model)
        self._given = self._model = model
        self._values = {name: value for name, value in (values or {}).items() if name != "cross_attn"}
        if model.get_model_object("diffusion_model").num_classes and "pooled_output" not in self._values:
            raise ValueError("model also reads a pooled text; link a conditioning that has one.")
        self._memory, self._recompute = memory, recompute
        self._low_rank: dict[str, LoraDiff] = {}
        self._start: dict[str, Tensor] = {}
        self.device: torch.device = model.load_device
        self.dtype = compute_dtype(self.device)
        self._sampling = model.get_model_object("model_sampling")
        self._predicts_v = type(self._sampling).calculate_denoised is V_PREDICTION.calculate_denoised
        with torch.inference_mode(False):
            squared = self._sampling.sigmas.double() ** 2
            self.schedule = NoiseSchedule((1.0 / (squared + 1.0)).float().cpu())

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._leave)
            # weights that ComfyUI pages in as they are used cannot be shared; ComfyUI loads them again
            is_paged = self._given.is_dynamic()
            self._model = self._given.clone(disable_dynamic=True) if is_paged else self._given
            comfy.model_management.load_models_gpu(
                [self._model], memory_required=self._memory, force_full_load=True
            )
            self._model.pre_run()
            stack.callback(self._model.cleanup)
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            self._options = _options(self._model)
            self._unet = mirror(self._model.model.diffusion_model, self.device)
            if self._recompute:
                compute_blocks_again(self._unet)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def _leave(self) -> None:
        self._unet = self._options = None
        self._low_rank, self._start = {}, {}
        if self._model is not self._given:
            self._unload()
        self._model = self._given
        comfy.model_management.soft_empty_cache()

    def _unload(self) -> None:
        if not comfy.model_management.is_device_cpu(self.device):
            comfy.model_management.unload_model_and_clones(self._model)

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Predict eps (B, C, h, w), float32, in latents alpha_t x_0 + sigma_t eps in the model's own scale.

        x_t: (B, C, h, w). t: (B,) whole timesteps of `schedule`. cond: (B or 1, L, D) embeddings of texts.
        """
        x = _reachable(x_t).to(self.device, torch.float32)
        timestep = t.to(self.device)
        context = _reachable(cond).to(self.device, self.dtype).expand(len(x), -1, -1)
        extra = self._extra(x)
        seen = torch.cat([x, extra.pop("c_concat", x[:, :0])], dim=1)
        sigma = self._sampling.sigmas.to(self.device)[timestep]
        output = self._unet(
            seen.to(self.dtype),
            self._sampling.timestep(sigma).float(),
            context=context,
            transformer_options={**self._options, "sigmas": sigma, "cond_or_uncond": [0]},
            **extra,
        ).float()
        if not self._predicts_v:
            return output
        alpha, noise = self.schedule.alpha_sigma(timestep, x)
        return alpha * output + noise * x  # Salimans and Ho 2022, from v = alpha eps - sigma x_0

    def _extra(self, x: Tensor) -> dict[str, Tensor]:
        """Other inputs of the UNet by name: labels of an SDXL, an inpainting model's mask."""
        with torch.no_grad():
            height, width = x.shape[2] * 8, x.shape[3] * 8  # ComfyUI's sampling uses these where none are set
            given = {"width": width, "height": height, "latent_image": torch.zeros_like(x), **self._values}
            conds = self._model.model.extra_conds(
                noise=x, device=self.device, prompt_type="positive", **given
            )
            batched = {name: cond.process_cond(batch_size=len(x), area=None) for name, cond in conds.items()}
            return {name: ordinary(cond.cond).to(x.device, self.dtype) for name, cond in batched.items()}

    def add_low_rank(self, rank: int, seed: int) -> list[nn.Parameter]:
        """Add low-rank layers, without effect at first, to linear and 2D convolutions. -> what is trained.

        Each is (rank, in) uniform in ±1/sqrt(in), a function of `seed` and of diffusers' name of the layer,
        and (out, rank) zero, float32.
        """
        self._check_untrained()
        names = _diffusers_layers(self._model)
        for name, layer in matrices(self._unet):
            down, up = initial_low_rank(names.get(name, name), rank, layer.weight.shape, seed)
            with torch.random.fork_rng(devices=[]):  # core's class draws values here that are overwritten
                adapter = LoraDiff((up, down, float(rank), None, None, None)).to(self.device)
            add_low_rank(layer, adapter)
            self._low_rank[PREFIX + name] = adapter
        trained = (part for adapter in self._low_rank.values() for part in adapter.parameters())
        return [part for part in trained if part.requires_grad]

    def full_weights(self) -> list[nn.Parameter]:
        """Make the UNet's own weights trainable, as copies in float32. -> what is trained."""
        self._check_untrained()
        for layer_name, layer in self._unet.named_modules():
            for name, weight in layer.named_parameters(recurse=False):
                self._start[f"{PREFIX}{layer_name}.{name}"] = weight.detach().cpu()
                setattr(layer, name, nn.Parameter(weight.detach().to(torch.float32, copy=True)))
        self._unload()  # the copies have replaced the weights
        return list(self._unet.parameters())

    def _check_untrained(self) -> None:
        if self._low_rank or self._start:
            raise ValueError("the model is being trained already; choose low-rank or full weights, once.")

    def lora(self) -> dict[str, Tensor]:
        """Return the low-rank layers as they are now: a LORA_MODEL on the CPU, float32."""
        return {
            f"{layer}.{name}": value.detach().cpu().clone()
            for layer, adapter in self._low_rank.items()
            for name, value in adapter.named_parameters()
        }

    def difference(self) -> dict[str, Tensor]:
        """Change of the full weights: a LORA_MODEL on the CPU, float32 for a float32 model, else float16."""
        found = {}
        for name, weight in self._unet.named_parameters():
            start = self._start[PREFIX + name]
            layer, part = (PREFIX + name).rsplit(".", 1)
            kept = torch.float32 if start.dtype == torch.float32 else torch.float16
            change = weight.detach().cpu() - start.float()
            found[f"{layer}.{'diff_b' if part == 'bias' else 'diff'}"] = change.to(kept)
        return found


def _diffusers_layers(model: Any) -> dict[str, str]:
    """Map ComfyUI's name of each layer of the UNet to diffusers' name."""
    names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    # backwards, since of two names for an SDXL's labels the first is the one that its UNet has
    pairs = sorted(names.items(), reverse=True)
    return {ours.rpartition(".")[0]: theirs.rpartition(".")[0] for theirs, ours in pairs}


def check_trainable(model: Any) -> None:
    """Raise ValueError for a MODEL that `TrainableModel` cannot train."""
    unet, sampling = model.get_model_object("diffusion_model"), model.get_model_object("model_sampling")
    kind = type(sampling).calculate_denoised
    known = kind in (EPS.calculate_denoised, V_PREDICTION.calculate_denoised)
    if not (isinstance(unet, UNetModel) and isinstance(sampling, ModelSamplingDiscrete) and known):
        raise ValueError(
            f"model is {type(model.model).__name__}, which cannot be trained here; link a Stable Diffusion "
            "1.x, 2.x or SDXL that predicts noise or v."
        )
    for weight in unet.parameters():
        if weight.dtype not in FULL_TYPES or isinstance(weight.data, QuantizedTensor):
            raise ValueError("model has quantised weights; load it in fp16, bf16 or fp32.")


def patched_by(model: Any) -> list[str]:
    """Names of patches in a MODEL's computation that may stop gradients; LoRAs are not among them."""
    options = model.model_options["transformer_options"]
    patches = [*options.get("patches", {}).values()]
    replacing = [each.values() for each in options.get("patches_replace", {}).values()]
    wrapping = [each for kind in model.wrappers.values() for each in kind.values()]
    functions = [function for each in (*patches, *replacing, *wrapping) for function in each]
    names = [getattr(function, "__qualname__", type(function).__qualname__) for function in functions]
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _reachable(tensor: Tensor) -> Tensor:
    """Return `tensor` in a form that autograd accepts, with its history if it has one."""
    return ordinary(tensor) if tensor.is_inference() else tensor


def _options(model: Any) -> dict[str, Any]:
    """Options of the UNet, set up as in ComfyUI's sampling: the MODEL's patches and wrappers."""
    options = comfy.model_patcher.create_model_options_clone(model.model_options)["transformer_options"]
    for name, added in (("wrappers", model.wrappers), ("callbacks", model.callbacks)):
        comfy.patcher_extension.merge_nested_dicts(options.setdefault(name, {}), added, copy_dict1=False)
    for name, patches in options.get("patches", {}).items():
        options["patches"][name] = [passing_gradients(patch) for patch in patches]
    for patches in options.get("patches_replace", {}).values():
        patches |= {place: passing_gradients(patch) for place, patch in patches.items()}
    return {**options, "optimized_attention_override": attention_with_gradient}
