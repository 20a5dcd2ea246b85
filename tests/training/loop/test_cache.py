"""The cache computes once, notices a changed cause and makes a damaged file again."""

from __future__ import annotations

import torch
from finesse.training.loop.cache import cached, file_hash


def test_made_once_until_a_cause_changes(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"x": torch.full((2,), len(made))}

    assert cached(tmp_path, "n", {"seed": 1}, make)["x"].tolist() == [1, 1]
    assert cached(tmp_path, "n", {"seed": 1}, make)["x"].tolist() == [1, 1]
    assert cached(tmp_path, "n", {"seed": 2}, make)["x"].tolist() == [2, 2]
    (file,) = [path for path in tmp_path.iterdir() if b'"seed\\": 1' in path.read_bytes()]
    file.write_bytes(file.read_bytes()[:-4])
    assert cached(tmp_path, "n", {"seed": 1}, make)["x"].tolist() == [3, 3]


def test_file_hash_sees_every_file(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    before = file_hash(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b").write_text("3")
    assert file_hash(tmp_path / "a", tmp_path / "b") != before
