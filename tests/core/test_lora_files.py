"""LoRA files of both spellings, and what is said of one that does not fit."""

from __future__ import annotations

import re

import pytest
import torch
from finesse.core import files, lora_files

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
KEY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture
def written(tmp_path):
    def write(tensors, **metadata):
        path = tmp_path / "some.safetensors"
        files.write_tensors(path, tensors, metadata)
        return path

    return write


def kohya(rank=2, wide=768, out=320, alpha=1.0):
    return {
        f"{KEY}.lora_down.weight": torch.ones(rank, wide),
        f"{KEY}.lora_up.weight": torch.ones(out, rank),
        f"{KEY}.alpha": torch.tensor(alpha),
    }


def peft(**shape):
    down, up, _ = kohya(**shape).values()
    name = f"unet.base_model.model.{LAYER}"
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}


def test_pefts_names_become_kohyas_with_the_rank_as_alpha(written):
    file = lora_files.read_lora(written(peft(rank=3)))
    assert file.layers == [KEY]
    assert {key: tuple(tensor.shape) for key, tensor in file.tensors.items()} == {
        f"{KEY}.lora_down.weight": (3, 768),
        f"{KEY}.lora_up.weight": (320, 3),
        f"{KEY}.alpha": (),
    }
    assert file.tensors[f"{KEY}.alpha"] == 3.0


def test_kohyas_alpha_is_kept(written):
    assert lora_files.read_lora(written(kohya(rank=4, alpha=1.5))).tensors[f"{KEY}.alpha"] == 1.5


@pytest.mark.parametrize(
    ("wide", "base"), [(768, "SD1.x"), (1024, "SD2.x"), (2048, "SDXL"), (5, "another base")]
)
def test_the_base_is_told_by_the_width_of_the_text(written, wide, base):
    assert lora_files.read_lora(written(kohya(wide=wide))).base == base


def test_the_base_in_the_header_comes_first(written):
    file = lora_files.read_lora(written(kohya(), **{"finesse.base": "my model", "finesse.in_channels": "9"}))
    assert (file.base, file.needs_mask) == ("my model", True)
    assert not lora_files.read_lora(written(kohya())).needs_mask


def test_a_misfit_names_layer_and_shapes(written):
    file = lora_files.read_lora(written(kohya(wide=2048)))
    assert lora_files.misfit(file.tensors, {KEY: [320, 2048]}) == ""
    assert re.match(rf"its weight {KEY}\.\S+ belongs to no layer", lora_files.misfit(file.tensors, {}))
    found = lora_files.misfit(file.tensors, {KEY: [320, 768]})
    assert f"{KEY}.lora_down.weight is of shape [2, 2048], but the model's weight is [320, 768]" in found


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("a.b.diff", (4, 3, 3, 3), ""),
        ("a.b.diff", (3, 4, 3, 3), r"of shape \[3, 4, 3, 3\], but the model's weight is \[4, 3, 3, 3\]"),
        ("a.b.diff_b", (4,), ""),
        ("a.b.diff_b", (3,), r"of shape \[3\]"),
        ("a.b.lora_down.weight", (2, 27), ""),
        ("a.b.lora_down.weight", (2, 3, 3, 3), ""),
        ("a.b.lora_down.weight", (2, 9), r"of shape \[2, 9\]"),
        ("a.b.lora_up.weight", (4, 2), ""),
        ("a.b.lora_up.weight", (5, 2), r"of shape \[5, 2\]"),
        ("a.b.alpha", (), ""),
        ("a.c.alpha", (), r"its weight a\.c\.alpha belongs to no layer of the model"),
        ("odd", (), "its weight odd belongs to no layer of the model"),
    ],
)
def test_weights_of_another_model_are_told(name, shape, reason):
    found = lora_files.misfit({name: torch.zeros(shape)}, {"a.b": (4, 3, 3, 3)})
    assert bool(found) == bool(reason)
    assert re.search(reason, found)


@pytest.mark.parametrize(
    ("tensors", "odd"),
    [
        ({"conv.weight": torch.ones(1)}, "conv.weight is of no UNet"),
        (dict(list(kohya().items())[:1]), f"{KEY}.lora_up.weight is of no whole layer"),
        (dict(list(kohya().items())[1:]), f"{KEY}.alpha is of no whole layer"),
    ],
)
def test_a_file_of_something_else_is_refused(written, tensors, odd):
    with pytest.raises(ValueError, match=f"some.safetensors is no LoRA of a UNet alone: {odd}"):
        lora_files.read_lora(written(tensors))


@pytest.mark.parametrize(
    "text", ["lora_te_text_model", "lora_te1_text_model", "text_encoder.base_model.model"]
)
def test_a_text_encoders_layers_are_named_as_such(written, text):
    layer = {key.replace(KEY, f"{text}_q_proj"): tensor for key, tensor in kohya().items()}
    with pytest.raises(ValueError, match=rf"{text}.*\.alpha is of a text encoder, which stock Load LoRA \(M"):
        lora_files.read_lora(written(kohya() | layer))


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        ("lora_down.weight", (1, 768)),
        ("lora_up.weight", (320, 32)),
        ("lora_up.weight", (320,)),
        ("alpha", (3,)),
    ],
)
def test_a_layer_of_two_ranks_is_named(written, part, shape):
    with pytest.raises(
        ValueError, match=rf"some.safetensors is damaged: in layer {KEY} .*do not agree on one rank"
    ):
        lora_files.read_lora(written(kohya() | {f"{KEY}.{part}": torch.ones(shape)}))
