"""A diffusers ControlNet of any size as ComfyUI's CONTROL_NET, for the image factor of the miniature.

ComfyUI's own loader knows the widths of published models by heart; this one reads them from a config.
"""

from pathlib import Path

import comfy.cldm.cldm
import comfy.controlnet
import comfy.model_management
import comfy.ops
import comfy.utils

from ...core import files
from .diffusers_folder import check_fit, comfy_unet_config

HINT_LAYERS = 8  # convolutions of a ControlNet's hint encoder


def load_controlnet(folder: Path, part: str = "controlnet") -> comfy.controlnet.ControlNet:
    """The ControlNet in the subfolder `part` of a diffusers folder, for the UNet of the same folder.

    It reads pictures of 8 pixels a latent cell, to which stock nodes scale their hint. A ValueError names the
    file that is missing, damaged or does not fit the UNet's config.
    """
    config_file = folder / "unet" / "config.json"
    config = comfy_unet_config(files.read_json(config_file), config_file)
    weights_file = folder / part / "diffusion_pytorch_model.safetensors"
    weights, _ = files.read_tensors(weights_file)
    names = comfy.utils.unet_to_diffusers(config) | _control_names(config)
    weights = {names.get(name, name): tensor for name, tensor in weights.items()}

    dtype = comfy.utils.weight_dtype(weights)
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(model_params=-1, weight_dtype=dtype)
    cast = comfy.model_management.unet_manual_cast(dtype, device)
    del config["out_channels"]
    control = comfy.cldm.cldm.ControlNet(
        **config,
        hint_channels=3,
        dtype=dtype,
        device=comfy.model_management.unet_offload_device(),
        operations=comfy.ops.pick_operations(dtype, cast),
    )
    check_fit(weights, control, weights_file)
    control.load_state_dict({name: tensor.to(dtype) for name, tensor in weights.items()})
    return comfy.controlnet.ControlNet(control, load_device=device, manual_cast_dtype=cast)


def _control_names(config: dict) -> dict[str, str]:
    """diffusers' names of what a ControlNet has beside an encoder -> ComfyUI's."""
    levels, blocks = len(config["channel_mult"]), sum(config["num_res_blocks"])
    hints = ["conv_in", *(f"blocks.{i}" for i in range(HINT_LAYERS - 2)), "conv_out"]
    pairs = {"controlnet_mid_block": "middle_block_out.0"}
    pairs |= {f"controlnet_down_blocks.{i}": f"zero_convs.{i}.0" for i in range(blocks + levels)}
    pairs |= {
        f"controlnet_cond_embedding.{name}": f"input_hint_block.{2 * i}" for i, name in enumerate(hints)
    }
    return {f"{old}.{end}": f"{new}.{end}" for old, new in pairs.items() for end in ("weight", "bias")}
