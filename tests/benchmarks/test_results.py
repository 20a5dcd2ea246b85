"""Results files and the tables README makes of them."""

from __future__ import annotations

import json
import math

import pytest
from finesse.benchmarks import results


def test_a_results_file_says_where_its_numbers_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["example.py", "--scenes", "9", "--work", "/somebodys/runs"])
    path = results.write_results("example", {"a.b": 1 / 3})
    stored = json.loads(path.read_text())
    assert stored["command"] == "python -m finesse.benchmarks.example --scenes 9 --work runs"
    assert set(stored) == {"command", "commit", "machine", "date", "metrics"}
    assert stored["metrics"] == {"a.b": 0.33333}
    text = results.rendered("before\n<!-- results:example -->\nold\n<!-- /results -->\nafter")
    assert "| `a.b` | 0.33333 |" in text
    assert "old" not in text
    assert results.rendered(text) == text


def test_a_group_of_metrics_is_a_table_with_spreads(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    metrics = {"t.a.x": 0.5, "t.a.x.std": 0.02, "t.b_0.1.x": 0.25, "t.b_0.1.y.z": 7, "other.a.x": 1}
    results.write_results("example", metrics)
    lines = results.rendered("<!-- results:example:t -->\n<!-- /results -->").splitlines()[1:5]
    assert lines == [
        "| `t` | `x` | `y.z` |",
        "|---|---|---|",
        "| `a` | 0.5 ± 0.02 |  |",
        "| `b_0.1` | 0.25 | 7 |",
    ]


def test_a_group_may_be_a_part_of_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    metrics = {"t.a.x1.small": 0.5, "t.a.x1.5.small": 0.25, "t.a.x1.tiny": 1, "t.ab.x1.small": 7}
    results.write_results("example", metrics)
    lines = results.rendered("<!-- results:example:t.a -->\n<!-- /results -->").splitlines()[1:5]
    assert lines == [
        "| `t.a` | `small` | `tiny` |",
        "|---|---|---|",
        "| `x1` | 0.5 | 1 |",
        "| `x1.5` | 0.25 |  |",
    ]


def test_a_number_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        results.write_results("example", {"a": math.nan})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("page", results.PAGES, ids=lambda page: page.name)
def test_a_page_shows_the_stored_results(page):
    text = page.read_text(encoding="utf-8")
    assert results.rendered(text) == text


def test_all_stored_results_are_shown():
    pages = "".join(page.read_text(encoding="utf-8") for page in results.PAGES)
    for path in results.FOLDER.glob("*.json"):
        assert f"<!-- results:{path.stem}" in pages, path
