"""Reads files of the Segment Anything Model (Kirillov et al. 2023): sizes from shapes, keys renamed.

Meta publishes `sam_vit_b_01ec64.pth`, `sam_vit_l_0b3195.pth` and `sam_vit_h_4b8939.pth`. Their keys
(`image_encoder.*`, `prompt_encoder.*`, `mask_decoder.*`) become those of transformers' SamModel, which names
the same layers `vision_encoder.*` and so on. A file that has these names already is read as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..files import read_tensors
from ..torch_checkpoints import key_groups, read_checkpoint

PUBLISHED = "sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth"
POSITIONS = "vision_encoder.pos_embed"
SIZES = {768: "ViT-B", 1024: "ViT-L", 1280: "ViT-H"}

# In order; transformers gives modules that are numbered in Meta's lists names of their own.
_LAYERS_OF_MLP = {"0": "proj_in", "1": "layers.0", "2": "proj_out"}
_NUMBERED = {
    r"image_encoder\.neck": {"0": "conv1", "1": "layer_norm1", "2": "conv2", "3": "layer_norm2"},
    r"mask_decoder\.iou_prediction_head\.layers": _LAYERS_OF_MLP,
    r"mask_decoder\.output_hypernetworks_mlps\.\d+\.layers": _LAYERS_OF_MLP,
    r"mask_decoder\.output_upscaling": {
        "0": "upscale_conv1",
        "1": "upscale_layer_norm",
        "3": "upscale_conv2",
    },
    r"prompt_encoder\.mask_downscaling": {
        "0": "conv1",
        "1": "layer_norm1",
        "3": "conv2",
        "4": "layer_norm2",
        "6": "conv3",
    },
}
_RENAMED = (
    (
        r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.(proj|layers)",
        r"\1.\2",
    ),
    (r"^mask_decoder\.output_upscaling\.", "mask_decoder."),
    (r"^prompt_encoder\.mask_downscaling\.", "prompt_encoder.mask_embed."),
    (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    (r"^prompt_encoder\.pe_layer\.\w+", "prompt_encoder.shared_embedding.positional_embedding"),
    (r"^image_encoder\.", "vision_encoder."),
    (r"^vision_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"^vision_encoder\.blocks\.", "vision_encoder.layers."),
    (r"\.norm(?=\d|_)", ".layer_norm"),
)


@dataclass(frozen=True)
class SamFile:
    """Weights of a file by transformers' names, on the CPU in the dtype as stored.

    config: keyword arguments for transformers' SamConfig. size: the model's name, such as ViT-B.
    """

    size: str
    config: dict[str, dict[str, Any]]
    tensors: dict[str, Tensor]


def read_sam(path: str | Path) -> SamFile:
    """Read the model in a .pth or .safetensors file. ValueError, naming the file, for anything else."""
    path = Path(path)
    state = read_tensors(path)[0] if path.suffix == ".safetensors" else read_checkpoint(path)
    if any(key.startswith("image_encoder.") for key in state):
        tensors = {transformers_name(key): tensor for key, tensor in state.items()}
    else:
        tensors = dict(state)
    if "prompt_encoder.shared_embedding.positional_embedding" in tensors:
        shared = tensors["prompt_encoder.shared_embedding.positional_embedding"]
        tensors["shared_image_embedding.positional_embedding"] = shared
    try:
        config = _config(tensors)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ValueError(
            f"{path.name} is no Segment Anything model, it holds {key_groups(state)}; take Meta's {PUBLISHED}"
        ) from error
    width = config["vision_config"]["hidden_size"]
    return SamFile(SIZES.get(width, f"ViT of width {width}"), config, tensors)


def transformers_name(key: str) -> str:
    """Turn Meta's `key` of a weight into its name in transformers' SamModel."""
    for place, names in _NUMBERED.items():
        key = re.sub(rf"^({place})\.(\d+)(?=\.)", lambda found, names=names: _named(found, names), key)
    for pattern, name in _RENAMED:
        key = re.sub(pattern, name, key)
    return key


def _named(found: re.Match[str], names: dict[str, str]) -> str:
    return f"{found[1]}.{names.get(found[2], found[2])}"


def _config(tensors: dict[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Derive config and size from the shapes. Raises KeyError and the like if it is no SAM."""
    _, grid, _, width = tensors[POSITIONS].shape
    patch = tensors["vision_encoder.patch_embed.projection.weight"].shape[-1]
    channels = tensors["prompt_encoder.no_mask_embed.weight"].shape[1]
    reaches: list[int] = []  # 2 n - 1 for attention among n x n cells
    while (key := f"vision_encoder.layers.{len(reaches)}.attn.rel_pos_h") in tensors:
        reaches.append(tensors[key].shape[0])
    everywhere = 2 * grid - 1
    picture = {"image_size": grid * patch, "patch_size": patch}
    return {
        "vision_config": {
            **picture,
            "hidden_size": width,
            "output_channels": channels,
            "num_hidden_layers": len(reaches),
            "num_attention_heads": width // tensors["vision_encoder.layers.0.attn.rel_pos_h"].shape[1],
            "mlp_dim": tensors["vision_encoder.layers.0.mlp.lin1.weight"].shape[0],
            "window_size": next(((reach + 1) // 2 for reach in reaches if reach != everywhere), 0),
            "global_attn_indexes": [i for i, reach in enumerate(reaches) if reach == everywhere],
            "num_pos_feats": channels // 2,
        },
        "prompt_encoder_config": {
            **picture,
            "hidden_size": channels,
            "mask_input_channels": tensors["prompt_encoder.mask_embed.conv2.weight"].shape[0],
        },
        "mask_decoder_config": {
            "hidden_size": channels,
            "mlp_dim": tensors["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            "iou_head_hidden_dim": tensors["mask_decoder.iou_prediction_head.proj_in.weight"].shape[0],
            "layer_norm_eps": 1e-5,  # Meta's; transformers' own default is 1e-6
        },
    }
