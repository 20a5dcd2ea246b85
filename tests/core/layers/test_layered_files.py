"""Layered edits on disk."""

import re

import pytest
import torch
from finesse.core.files import write_tensors
from finesse.core.layers.files import LayeredEdit, read_edit, write_edit


def test_an_edit_comes_back_as_it_was(tmp_path):
    lora = {"diffusion_model.out.2.diff": torch.randn(2, 3), "diffusion_model.out.2.diff_b": torch.randn(2)}
    embeddings = {"positive": torch.randn(1, 3, 4), "object": torch.randn(1, 3, 4)}
    embeddings["positive.pooled"] = torch.randn(1, 5)
    write_edit(tmp_path / "a.safetensors", LayeredEdit(lora, embeddings, {"finesse.base": "SD1.x"}))

    read = read_edit(tmp_path / "a.safetensors")

    assert read.metadata == {"finesse.kind": "layered edit", "finesse.base": "SD1.x"}
    for before, after in ((lora, read.lora), (embeddings, read.embeddings)):
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_file_is_refused_by_name(tmp_path):
    write_tensors(tmp_path / "lora.safetensors", {"x.diff": torch.zeros(2)})

    with pytest.raises(ValueError, match=r"lora\.safetensors is no layered edit: it holds no embeddings"):
        read_edit(tmp_path / "lora.safetensors")


@pytest.mark.parametrize(
    ("name", "shape", "misfit"),
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
def test_weights_of_another_model_are_told(name, shape, misfit):
    edit = LayeredEdit({name: torch.zeros(shape)}, {})
    found = edit.misfit({"a.b": (4, 3, 3, 3)})
    assert bool(found) == bool(misfit)
    assert re.search(misfit, found)
