"""A diffusers folder of Stable Diffusion 1.x's kind, of any size, as ComfyUI's MODEL, VAE and CLIP.

ComfyUI's own loaders know the widths of published models by heart. These read them from the folder's
configs (`unet`, `unet_inpainting`, `vae`, `text_encoder`, `tokenizer`, `scheduler`) and then build the same
objects from core's own parts, so that every stock node takes them.
"""

from functools import partial
from pathlib import Path
from typing import Any

import comfy.clip_model
import comfy.diffusers_convert
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from transformers import CLIPTokenizer

from ...core import files

# What ComfyUI's modules hold fixed and a diffusers config may set otherwise.
_UNET_FIXED = {
    "act_fn": "silu",
    "class_embed_type": None,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-5,
    "norm_num_groups": 32,
    "only_cross_attention": False,
    "resnet_time_scale_shift": "default",
}
_VAE_FIXED = {
    "act_fn": "silu",
    "mid_block_add_attention": True,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}


def load_unet(folder: Path, part: str = "unet") -> comfy.model_patcher.ModelPatcher:
    """The UNet of a diffusers folder as ComfyUI's MODEL; `part` is its subfolder.

    One of 9 input channels reads mask and masked latent from its conditioning, as stock inpainting models do.
    Latents are (B, 4, H / scale, W / scale), scaled by the VAE's own factor. A ValueError names the file
    that is missing, damaged or does not fit its config.
    """
    config_file = folder / part / "config.json"
    unet_config = comfy_unet_config(files.read_json(config_file), config_file)
    weights_file = config_file.with_name("diffusion_pytorch_model.safetensors")
    weights, _ = files.read_tensors(weights_file)
    names = comfy.utils.unet_to_diffusers(unet_config)
    weights = {names.get(name, name): tensor for name, tensor in weights.items()}

    config = _MiniatureConfig(unet_config, folder)
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(weights),
        supported_dtypes=config.supported_inference_dtypes,
        weight_dtype=comfy.utils.weight_dtype(weights),
    )
    cast = comfy.model_management.unet_manual_cast(dtype, device, config.supported_inference_dtypes)
    config.set_inference_dtype(dtype, cast)
    base_model = config.get_model(weights)
    check_fit(weights, base_model.diffusion_model, weights_file)
    patcher = comfy.model_patcher.CoreModelPatcher(
        base_model, load_device=device, offload_device=comfy.model_management.unet_offload_device()
    )
    base_model.load_model_weights(weights, assign=patcher.is_dynamic())
    return patcher


def load_vae(folder: Path, part: str = "vae") -> comfy.sd.VAE:
    """The AutoencoderKL of a diffusers folder as ComfyUI's VAE, which knows its own scale; `part` as above.

    Pixels are (B, H, W, 3) in [0, 1]. Errors as in `load_unet`.
    """
    config_file = folder / part / "config.json"
    config = files.read_json(config_file)
    params = _comfy_vae_params(config, config_file)
    weights_file = config_file.with_name("diffusion_pytorch_model.safetensors")
    weights, _ = files.read_tensors(weights_file)
    weights = _comfy_vae_names(weights, len(config["block_out_channels"]))
    with torch.device("meta"):
        check_fit(weights, AutoencoderKL(**params), weights_file)
    vae = comfy.sd.VAE(sd=weights, config={"params": params})
    vae.latent_channels = config["latent_channels"]
    vae.downscale_ratio = vae.upscale_ratio = vae_scale(config)
    for module in vae.first_stage_model.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.num_groups = config["norm_num_groups"]  # core's are Stable Diffusion's 32
    return vae


def load_clip(folder: Path) -> comfy.sd.CLIP:
    """The text encoder and tokenizer of a diffusers folder as ComfyUI's CLIP. Errors as in `load_unet`.

    As in Stable Diffusion 1.x, the conditioning is the last layer after its norm, (B, length, width), and
    the pooled output is not projected.
    """
    config = files.read_json(folder / "text_encoder" / "config.json")
    weights_file = folder / "text_encoder" / "model.safetensors"
    weights, _ = files.read_tensors(weights_file)
    weights = {"text_model." + name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    weights["text_projection.weight"] = torch.eye(config["hidden_size"])  # core's model always has one

    clip = comfy.sd.CLIP(
        _clip_target(folder, config), embedding_directory=folder_paths.get_folder_paths("embeddings")
    )
    check_fit(weights, clip.cond_stage_model.clip_l.transformer, weights_file)
    clip.load_sd(weights)
    return clip


def comfy_unet_config(config: dict[str, Any], file: Path) -> dict[str, Any]:
    """ComfyUI's unet_config for a diffusers UNet2DConditionModel config read from `file`.

    A ValueError names the setting that ComfyUI's UNet cannot follow.
    """
    _check_fixed(config, _UNET_FIXED, file)
    widths = config["block_out_channels"]
    levels = len(widths)
    blocks = _per_level(config["layers_per_block"], levels)
    depth = _per_level(config.get("transformer_layers_per_block", 1), levels)
    down = [depth[i] * kind.startswith("CrossAttn") for i, kind in enumerate(config["down_block_types"])]
    up = [depth[i] * kind.startswith("CrossAttn") for i, kind in enumerate(config["up_block_types"][::-1])]
    return {
        "image_size": config.get("sample_size"),
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": widths[0],
        "channel_mult": _multiples(widths, file),
        "num_res_blocks": blocks,
        "transformer_depth": [d for d, count in zip(down, blocks, strict=True) for _ in range(count)],
        "transformer_depth_output": [
            d for d, count in zip(up, blocks, strict=True) for _ in range(count + 1)
        ],
        "transformer_depth_middle": depth[-1],
        "context_dim": config["cross_attention_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": config.get("use_linear_projection", False),
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "adm_in_channels": None,
        "legacy": False,
        **_heads(config, file),
    }


def vae_scale(config: dict[str, Any]) -> int:
    """Pixels per latent cell and side, from an AutoencoderKL's config: each level but the last halves."""
    return 2 ** (len(config["block_out_channels"]) - 1)


class _MiniatureConfig(comfy.supported_models.SD15):
    """Stable Diffusion 1.x with the latent format and the noise schedule of a diffusers folder."""

    unet_extra_config: dict[str, int] = {}  # noqa: RUF012 - the heads come from the folder's config

    def __init__(self, unet_config: dict[str, Any], folder: Path) -> None:
        super().__init__(unet_config)
        vae = files.read_json(folder / "vae" / "config.json")
        self.latent_format.scale_factor = vae["scaling_factor"]
        self.latent_format.spacial_downscale_ratio = vae_scale(vae)
        preview = folder / "vae" / "latent_preview.json"
        linear = files.read_json(preview) if preview.exists() else {"factors": None, "bias": None}
        self.latent_format.latent_rgb_factors = linear["factors"]
        self.latent_format.latent_rgb_factors_bias = linear["bias"]
        self.latent_format.taesd_decoder_name = None

        file = folder / "scheduler" / "scheduler_config.json"
        schedule = files.read_json(file)
        _check_fixed(schedule, {"beta_schedule": "scaled_linear", "prediction_type": "epsilon"}, file)
        self.sampling_settings = {
            "linear_start": schedule["beta_start"],
            "linear_end": schedule["beta_end"],
            "timesteps": schedule["num_train_timesteps"],
        }


class _TextModel(comfy.clip_model.CLIPTextModel):
    """Core's CLIP text model, which holds 49,408 tokens fixed, with the vocabulary of its config."""

    def __init__(
        self, config_dict: dict[str, Any], dtype: torch.dtype, device: torch.device, operations: Any
    ) -> None:
        super().__init__(config_dict, dtype, device, operations)
        vocabulary, width = config_dict["vocab_size"], config_dict["hidden_size"]
        self.set_input_embeddings(operations.Embedding(vocabulary, width, dtype=dtype, device=device))


def _clip_target(folder: Path, config: dict[str, Any]) -> comfy.supported_models_base.ClipTarget:
    folder = folder / "tokenizer"
    files.read_json(folder / "vocab.json")  # names the file when it is missing or cut short
    if not (folder / "merges.txt").is_file():
        raise ValueError(f"merges.txt is missing in {folder}: copy the tokenizer again")
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    special = {
        "start": tokenizer.bos_token_id,
        "end": tokenizer.eos_token_id,
        "pad": tokenizer.pad_token_id,
    }
    comfy_tokenizer = partial(
        comfy.sd1_clip.SDTokenizer,
        tokenizer_path=folder,
        max_length=config["max_position_embeddings"],
        embedding_size=config["hidden_size"],
        pad_token=special["pad"],
    )
    comfy_model = partial(
        comfy.sd1_clip.SDClipModel,
        max_length=config["max_position_embeddings"],
        textmodel_json_config=config,
        model_class=_TextModel,
        return_projected_pooled=False,
        special_tokens=special,
    )
    return comfy.supported_models_base.ClipTarget(
        partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=comfy_tokenizer),
        partial(comfy.sd1_clip.SD1ClipModel, clip_model=comfy_model),
    )


def _comfy_vae_params(config: dict[str, Any], file: Path) -> dict[str, Any]:
    _check_fixed(config, _VAE_FIXED, file)
    widths = config["block_out_channels"]
    settings = {
        "double_z": True,
        "z_channels": config["latent_channels"],
        "resolution": config["sample_size"],
        "in_channels": config["in_channels"],
        "out_ch": config["out_channels"],
        "ch": widths[0],
        "ch_mult": _multiples(widths, file),
        "num_res_blocks": config["layers_per_block"],
        "attn_resolutions": [],
    }
    return {"ddconfig": settings, "embed_dim": config["latent_channels"]}


def _comfy_vae_names(weights: dict[str, torch.Tensor], levels: int) -> dict[str, torch.Tensor]:
    """ComfyUI's names for a diffusers AutoencoderKL of up to four levels.

    Core's conversion counts the decoder's levels down from 3, so those of a smaller VAE are shifted up to it.
    """
    shifted = {}
    for name, tensor in weights.items():
        head, found, tail = name.partition("decoder.up_blocks.")
        if found:
            level, _, rest = tail.partition(".")
            name = f"{head}{found}{int(level) + 4 - levels}.{rest}"
        shifted[name] = tensor
    return comfy.diffusers_convert.convert_vae_state_dict(shifted)


def check_fit(weights: dict[str, torch.Tensor], module: torch.nn.Module, file: Path) -> None:
    """Raise ValueError, naming `file`, unless the weights are those of `module`, by names and shapes."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wrong := sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    ):
        first = wrong[0]
        raise ValueError(
            f"{file} does not fit {file.parent / 'config.json'} in {len(wrong)} tensors; the first, {first}, "
            f"should be {expected.get(first, 'absent')} and is {found.get(first, 'absent')}: "
            "save both files from one model"
        )


def _check_fixed(config: dict[str, Any], fixed: dict[str, Any], file: Path) -> None:
    for name, value in fixed.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} in {file} is {config[name]!r}: this loader takes only {value!r}")


def _multiples(widths: list[int], file: Path) -> list[int]:
    if any(width % widths[0] for width in widths):
        raise ValueError(f"block_out_channels in {file} are {widths}: each must be a multiple of the first")
    return [width // widths[0] for width in widths]


def _per_level(value: int | list[int], levels: int) -> list[int]:
    return [value] * levels if isinstance(value, int) else list(value)


def _heads(config: dict[str, Any], file: Path) -> dict[str, int]:
    # diffusers calls the number of heads `attention_head_dim` where `num_attention_heads` is not set
    widths = config["block_out_channels"]
    heads = _per_level(config.get("num_attention_heads") or config["attention_head_dim"], len(widths))
    if len(set(heads)) == 1:
        return {"num_heads": heads[0], "num_head_channels": -1}
    head_widths = {width // count for width, count in zip(widths, heads, strict=True)}
    if len(head_widths) > 1:
        raise ValueError(f"attention heads in {file} are {heads}: give one number, or heads of one width")
    return {"num_heads": -1, "num_head_channels": head_widths.pop()}
