"""Files of Segment Anything models: what the shapes tell."""

import json

import pytest
import torch
from finesse.core.files import write_tensors
from finesse.core.sam.weights import read_sam, transformers_name
from finesse.tests.nodes.layers.small_sam import REFERENCE, weights

SHAPES = json.loads(REFERENCE.read_text("utf-8"))["shapes"]
PUBLISHED = {  # of Meta's build_sam.py
    "ViT-B": (768, 12, 12, [2, 5, 8, 11]),
    "ViT-L": (1024, 24, 16, [5, 11, 17, 23]),
    "ViT-H": (1280, 32, 16, [7, 15, 23, 31]),
}


def published(width, depth, heads, everywhere):
    """The shapes that tell of a published model, its other weights being the small one's."""
    shapes = {name: shape for name, shape in SHAPES.items() if not name.startswith("image_encoder.blocks")}
    shapes |= {"image_encoder.pos_embed": [1, 64, 64, width]}
    shapes |= {"image_encoder.patch_embed.proj.weight": [width, 3, 16, 16]}
    shapes |= {"prompt_encoder.no_mask_embed.weight": [1, 256]}
    for i in range(depth):
        reach = 127 if i in everywhere else 27
        shapes[f"image_encoder.blocks.{i}.attn.rel_pos_h"] = [reach, width // heads]
        shapes[f"image_encoder.blocks.{i}.mlp.lin1.weight"] = [4 * width, width]
    return shapes


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_published_sizes_are_told_by_their_shapes(tmp_path, size):
    width, depth, heads, everywhere = PUBLISHED[size]
    one = torch.zeros(1)
    shapes = published(width, depth, heads, everywhere)
    torch.save({name: one.expand(shape) for name, shape in shapes.items()}, tmp_path / "sam.pth")
    found = read_sam(tmp_path / "sam.pth")
    assert found.size == size
    assert found.config["vision_config"] == {
        "image_size": 1024,
        "patch_size": 16,
        "hidden_size": width,
        "output_channels": 256,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "mlp_dim": 4 * width,
        "window_size": 14,
        "global_attn_indexes": everywhere,
        "num_pos_feats": 128,
    }


def test_every_weight_gets_a_name_of_its_own():
    assert len({transformers_name(name) for name in SHAPES}) == len(SHAPES)


def test_both_formats_and_both_ways_to_name_give_the_same(tmp_path):
    tensors = weights(SHAPES)
    torch.save(tensors, tmp_path / "a.pth")
    write_tensors(tmp_path / "b.safetensors", tensors)
    first = read_sam(tmp_path / "a.pth")
    write_tensors(tmp_path / "c.safetensors", {name: own.clone() for name, own in first.tensors.items()})
    for name in ("b.safetensors", "c.safetensors"):
        other = read_sam(tmp_path / name)
        assert other.config == first.config
        assert other.tensors.keys() == first.tensors.keys()
        assert all(torch.equal(other.tensors[key], own) for key, own in first.tensors.items())


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"model.diffusion_model.x": torch.zeros(1)},
        {"image_encoder.pos_embed": torch.zeros(3)},
        {"image_encoder.pos_embed": torch.zeros(1, 4, 4, 8)},
    ],
)
def test_something_else_is_refused(tmp_path, tensors):
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(
        ValueError, match=r"x\.pth is no Segment Anything model, it holds .*; take Meta's sam_vit_b"
    ):
        read_sam(tmp_path / "x.pth")


def test_a_file_that_is_not_there_or_not_whole_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"sam\.pth is missing in"):
        read_sam(tmp_path / "sam.pth")
    (tmp_path / "sam.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"sam\.safetensors is cut short or damaged"):
        read_sam(tmp_path / "sam.safetensors")
