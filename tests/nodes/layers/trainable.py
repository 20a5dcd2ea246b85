"""What the tests of trainable models share: inputs, and the same prediction by others."""

from __future__ import annotations

import torch
from finesse.tests.nodes.factors.small_factors import latents, prompts

T = torch.tensor([30, 900])
COND = prompts(seed=2)[0][0]
NOISE = latents(2, side=8, seed=5)
X = latents(2, side=8, seed=6)


def in_diffusers(unet, cond=COND):
    return unet(X, T, cond.expand(2, -1, -1)).sample


def in_comfyui(model, cond=COND, x=X, **extra):
    """eps by core's own apply_model, loaded as a sampler does it."""
    import comfy.model_management

    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model])
        sampling = model.model.model_sampling
        sigma = sampling.sigmas[T]
        wide = sigma.view(-1, 1, 1, 1)
        seen = x * (wide**2 + 1).sqrt()
        options = model.model_options["transformer_options"]
        clean = model.model.apply_model(
            seen.double(), sigma, c_crossattn=cond.expand(2, -1, -1), transformer_options=options, **extra
        )
        return ((seen.double() - clean) / wide).float()


def loss_of(eps):
    return (eps - NOISE).square().mean()


def comfy_names(model):
    """diffusers' name of every weight by ComfyUI's."""
    import comfy.utils

    names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    return {ours: there for there, ours in names.items()}


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.model.state_dict().items()}


def steps(denoiser, parameters, count=3, lr=0.02):
    """A few steps of training, and the prediction after them."""
    optimizer = torch.optim.Adam(parameters, lr=lr)
    for _ in range(count):
        optimizer.zero_grad()
        loss_of(denoiser(X, T, COND)).backward()
        optimizer.step()
    return denoiser(X, T, COND).detach()


def small_sdxl(operations=None):
    """A MODEL of SDXL's kind with texts of 192 numbers a token, and random weights.

    operations: the classes of its layers; ComfyUI's choice without.
    """
    import comfy.model_patcher
    import comfy.supported_models

    config = comfy.supported_models.SDXL(
        {
            **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32},
            **{"channel_mult": [1, 2], "num_res_blocks": [1, 1], "transformer_depth": [0, 1]},
            **{"transformer_depth_output": [0, 0, 1, 1], "transformer_depth_middle": 1, "context_dim": 192},
            **{"num_heads": -1, "num_head_channels": 16, "use_spatial_transformer": True, "legacy": False},
            **{"use_linear_in_transformer": True, "use_temporal_attention": False},
            **{"num_classes": "sequential", "adm_in_channels": 2816},
        }
    )
    config.custom_operations = operations
    base = config.get_model({})
    torch.manual_seed(0)
    for parameter in base.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(base, load_device=device, offload_device=device)
