"""Results files and the tables README makes of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from finesse.benchmarks import results

ROOT = Path(__file__).resolve().parents[2]


def test_a_results_file_says_where_its_numbers_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["example.py", "--scenes", "9"])
    path = results.write_results("example", {"a.b": 1 / 3})
    stored = json.loads(path.read_text())
    assert stored["command"] == "python -m finesse.benchmarks.example --scenes 9"
    assert set(stored) == {"command", "commit", "machine", "date", "metrics"}
    assert stored["metrics"] == {"a.b": 0.33333}
    text = results.rendered("before\n<!-- results:example -->\nold\n<!-- /results -->\nafter")
    assert "| `a.b` | 0.33333 |" in text
    assert "old" not in text
    assert results.rendered(text) == text


def test_a_group_of_metrics_is_a_table_with_spreads(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    metrics = {"t.a.x": 0.5, "t.a.x.std": 0.02, "t.b.x": 0.25, "t.b.y.z": 7, "other.a.x": 1}
    results.write_results("example", metrics)
    lines = results.rendered("<!-- results:example:t -->\n<!-- /results -->").splitlines()[1:5]
    assert lines == [
        "| `t` | `x` | `y.z` |",
        "|---|---|---|",
        "| `a` | 0.5 ± 0.02 |  |",
        "| `b` | 0.25 | 7 |",
    ]


def test_a_number_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        results.write_results("example", {"a": math.nan})
    assert not list(tmp_path.iterdir())


def test_readme_shows_the_stored_results():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- results:" in readme
    assert results.rendered(readme) == readme
