"""Layered edits on disk."""

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
