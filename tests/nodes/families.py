"""Small random models of the families that people use, built from ComfyUI's own classes.

Widths and depths are shrunk; what a node can see is not: latent formats, patches, levels, the scales of the
VAEs, the channels of their latents and the widths of texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

TOKENS = 8  # of a random text

UNET = {
    **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "legacy": False},
    **{"use_spatial_transformer": True, "use_temporal_attention": False, "use_temporal_resblock": False},
}
SD15 = {
    **UNET,
    **{"channel_mult": [1, 1, 2, 2], "num_res_blocks": [1] * 4, "transformer_depth": [1, 1, 1, 0]},
    **{"transformer_depth_output": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1},
    **{"context_dim": 768, "adm_in_channels": None, "use_linear_in_transformer": False},
}
SDXL = {
    **UNET,
    **{"model_channels": 64, "channel_mult": [1, 1, 1], "num_res_blocks": [1] * 3},
    "transformer_depth": [0, 1, 1],
    **{"transformer_depth_output": [0, 0, 1, 1, 1, 1], "transformer_depth_middle": 1},
    **{"context_dim": 2048, "adm_in_channels": 2816, "num_classes": "sequential"},
    "use_linear_in_transformer": True,
}
SD3 = {
    **{"in_channels": 16, "out_channels": 16, "patch_size": 2, "depth": 2, "input_size": None},
    **{"adm_in_channels": 2048, "pos_embed_max_size": 64, "num_patches": 64 * 64, "qk_norm": "rms"},
    **{"pos_embed_scaling_factor": None, "x_block_self_attn_layers": [0]},
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": 4096, "out_features": 128},
    },
}
FLUX = {
    **{"image_model": "flux", "in_channels": 16, "out_channels": 16, "patch_size": 2, "vec_in_dim": 768},
    **{"context_in_dim": 4096, "hidden_size": 128, "num_heads": 1, "depth": 1, "depth_single_blocks": 1},
    **{"mlp_ratio": 4.0, "axes_dim": [16, 56, 56], "theta": 10000, "qkv_bias": True, "guidance_embed": True},
    "txt_ids_dims": [],
}
FLUX2 = {
    **FLUX,
    **{"image_model": "flux2", "in_channels": 128, "out_channels": 128, "patch_size": 1, "vec_in_dim": None},
    **{"context_in_dim": 7680, "mlp_ratio": 3.0, "axes_dim": [32] * 4, "theta": 2000, "qkv_bias": False},
    **{"guidance_embed": False, "global_modulation": True, "mlp_silu_act": True, "ops_bias": False},
    **{"default_ref_method": "index", "ref_index_scale": 10.0, "txt_ids_dims": [3]},
}
QWEN = {"image_model": "qwen_image", "in_channels": 64, "num_layers": 1, "num_attention_heads": 1}
Z_IMAGE = {
    **{"image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 256, "cap_feat_dim": 2560},
    **{"n_layers": 2, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2, "qk_norm": True},
    **{"axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "rope_theta": 256.0, "time_scale": 1000.0},
    **{"ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "pad_tokens_multiple": 32},
}


@dataclass(frozen=True)
class Kind:
    """How a family is built. config: a class of `comfy.supported_models`. text, pooled: their widths."""

    config: str
    unet: dict[str, Any]
    vae: Callable[[], Any]
    text: int
    pooled: int = 0


@dataclass(frozen=True)
class Family:
    """MODEL and VAE of a family, and how wide its texts are."""

    model: Any
    vae: Any
    kind: Kind

    def text(self, seed: int = 0, **values: Any) -> list[list[Any]]:
        """A random conditioning."""
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.randn(1, TOKENS, self.kind.text, generator=generator)
        pooled = torch.randn(1, self.kind.pooled, generator=generator) if self.kind.pooled else None
        return [[tokens, {"pooled_output": pooled, **values}]]

    def sample(self, positive: Any, negative: Any, latent: dict[str, Any], noise: Any = None) -> torch.Tensor:
        """Two Euler steps as KSampler takes them, from the noise given or that of seed 0."""
        import comfy.sample

        samples = latent["samples"]
        noise = comfy.sample.prepare_noise(samples, 0) if noise is None else noise
        settings = {"noise_mask": latent.get("noise_mask"), "disable_pbar": True, "seed": 0}
        prompts = (positive, negative, samples)
        return comfy.sample.sample(self.model, noise, 2, 2.0, "euler", "simple", *prompts, **settings)

    def decode(self, samples: torch.Tensor) -> torch.Tensor:
        """The pictures that VAE Decode gives."""
        import nodes

        return nodes.VAEDecode().decode(self.vae, {"samples": samples})[0]


@cache
def family(name: str) -> Family:
    kind = KINDS[name]
    return Family(make_model(kind.config, kind.unet), kind.vae(), kind)


def make_model(
    config: str, unet: dict[str, Any], dtype: torch.dtype = torch.float32, operations: Any = None
) -> Any:
    """A MODEL with random weights of `dtype`, which computes in float32.

    operations: the classes of its layers; ComfyUI's choice without.
    """
    import comfy.model_patcher
    import comfy.supported_models

    settings = getattr(comfy.supported_models, config)(dict(unet))
    settings.set_inference_dtype(dtype, None if dtype == torch.float32 else torch.float32)
    settings.custom_operations = operations
    base = settings.get_model({})
    randomise(base.diffusion_model)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(base, load_device=cpu, offload_device=cpu)


def randomise(module: torch.nn.Module, seed: int = 0) -> None:
    """Draw weights that keep the size of what passes through them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [*module.named_parameters(), *((n, b) for n, b in module.named_buffers() if n == "pos_embed")]
    for name, weight in drawn:
        spread = 0.1 if weight.ndim < 2 else 1 / math.sqrt(weight[0].numel())
        values = spread * torch.randn(weight.shape, generator=generator)
        is_norm = weight.ndim < 2 and name.endswith(("weight", "gamma", "scale"))
        weight.data.copy_(values + 1 if is_norm else values)


def make_image_vae(channels: int, **settings: Any) -> Any:
    """A VAE of the Stable Diffusion kind, 8 pixels a cell; channels: of its latent."""
    import comfy.sd
    from comfy.ldm.models.autoencoder import AutoencoderKL

    ddconfig = {
        **{"double_z": True, "z_channels": channels, "resolution": 256, "in_channels": 3, "out_ch": 3},
        **{"ch": 32, "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0},
        **settings,
    }
    params = {"ddconfig": ddconfig, "embed_dim": channels}
    model = AutoencoderKL(**params)
    randomise(model)
    vae = comfy.sd.VAE(sd=model.state_dict(), config={"params": params})
    vae.latent_channels = channels
    return vae


def make_flux2_vae() -> Any:
    """Flux.2's VAE: cells of 8 pixels, packed by twos."""
    vae = make_image_vae(32, batch_norm_latent=True)
    vae.latent_channels, vae.downscale_ratio, vae.upscale_ratio = 128, 16, 16
    return vae


def make_wan_vae() -> Any:
    """The VAE of Wan 2.1 and Qwen-Image: a batch of pictures is a video to it."""
    import comfy.ldm.wan.vae
    import comfy.sd

    config = {"dim": 8, "z_dim": 16, "num_res_blocks": 2, "temperal_downsample": [False, True, True]}
    model = comfy.ldm.wan.vae.WanVAE(**config)
    randomise(model)
    return comfy.sd.VAE(sd=model.state_dict())


KINDS = {
    "sd15": Kind("SD15", SD15, lambda: make_image_vae(4), 768),
    "sd15-inpainting": Kind("SD15", {**SD15, "in_channels": 9}, lambda: make_image_vae(4), 768),
    "sd15-instructpix2pix": Kind(
        "SD15_instructpix2pix", {**SD15, "in_channels": 8}, lambda: make_image_vae(4), 768
    ),
    "sdxl": Kind("SDXL", SDXL, lambda: make_image_vae(4), 2048, 1280),
    "sdxl-inpainting": Kind("SDXL", {**SDXL, "in_channels": 9}, lambda: make_image_vae(4), 2048, 1280),
    "sd35": Kind("SD3", SD3, lambda: make_image_vae(16), 4096, 2048),
    "flux": Kind("Flux", FLUX, lambda: make_image_vae(16), 4096, 768),
    "flux-fill": Kind("FluxInpaint", {**FLUX, "in_channels": 96}, lambda: make_image_vae(16), 4096, 768),
    "flux-canny": Kind("Flux", {**FLUX, "in_channels": 32}, lambda: make_image_vae(16), 4096, 768),
    "flux-kontext": Kind("Flux", FLUX, lambda: make_image_vae(16), 4096, 768),
    "flux2-klein": Kind("Flux2", FLUX2, make_flux2_vae, 7680),
    "qwen-image": Kind("QwenImage", QWEN, make_wan_vae, 3584),
    "qwen-image-edit": Kind(
        "QwenImage", {**QWEN, "default_ref_method": "index_timestep_zero"}, make_wan_vae, 3584
    ),
    "z-image": Kind("ZImage", Z_IMAGE, lambda: make_image_vae(16), 2560),
}
