"""Colours are asked of a real, tiny BLIP: once each, by any number of processes, and again after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from finesse.training.data import colours
from finesse.training.data.blip import Blip
from finesse.training.data.colours import ask_colours, colour, colours_of, crop, read_colours
from finesse.training.data.tars import decode
from PIL import Image
from transformers import BlipForConditionalGeneration, CLIPTextConfig


@pytest.fixture(scope="session")
def blip(blip_folder):
    return Blip(blip_folder, torch.device("cpu"))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """The 22 objects make five chunks of five rows, the last of two; pictures straddle them."""
    monkeypatch.setattr(colours, "CHUNK", 5)


def ask(small_set, blip, **settings):
    ask_colours(
        small_set.selection,
        small_set.images,
        blip,
        small_set.colours,
        **{"batch_size": 3, "workers": 2, **settings},
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("brown", "brown"),
        (" Grey ", "gray"),
        ("tan", "tan"),
        ("brown and white", ""),
        ("plaid", ""),
        ("", ""),
    ],
)
def test_an_answer_is_a_colour_of_the_list_or_none(answer, expected):
    assert colour(answer) == expected


def test_a_crop_has_a_margin_where_there_is_picture():
    picture = Image.new("RGB", (100, 50))
    assert crop(picture, (0.5, 0.5, 0.6, 0.7)).size == (14, 14)
    assert crop(picture, (0.0, 0.0, 0.11, 0.21)).size == (14, 13)  # 13.2 and 12.6 pixels
    assert crop(picture, (0.999, 0.999, 1.0, 1.0)).size == (1, 1)


def test_answers_do_not_depend_on_what_else_is_asked(small_set, blip):
    picture = decode(sorted(small_set.images.iterdir())[0].read_bytes())
    crops = [crop(picture, (x / 40, y / 40, x / 40 + 0.2, y / 40 + 0.3)) for x in range(8) for y in range(3)]
    questions = [f"what color is the {('dog', 'traffic light')[i % 2]}?" for i in range(24)]
    pixels = blip.prepare(crops)
    alone = [blip.ask(pixels[i : i + 1], questions[i : i + 1])[0] for i in range(24)]
    padded = blip.processor.tokenizer(questions, padding=True, return_tensors="pt")
    output = blip.model.generate(
        padded.input_ids, pixels, padded.attention_mask, max_new_tokens=10, do_sample=False
    )

    assert blip.ask(pixels, questions) == alone
    assert len(set(alone)) > 2
    texts = [t.lower() for t in blip.processor.tokenizer.batch_decode(output, skip_special_tokens=True)]
    assert texts != alone  # why questions of one length go together


def test_every_object_is_answered_as_if_asked_alone(small_set, blip):
    ask(small_set, blip)
    model, parts = read_colours(small_set.selection, small_set.colours)
    answers = [answer for part in parts for answer in json.loads(part.read_text())["answers"]]

    assert (model, len(parts), len(answers)) == ("tiny-vqa", 5, 22)
    rows = pl.read_parquet(small_set.selection).rows()
    for answer, (_, file, label, *box) in zip(answers, rows, strict=True):
        picture = decode((small_set.images / file).read_bytes())
        assert answer == blip.ask(blip.prepare([crop(picture, box)]), [f"what color is the {label}?"])[0]
    found = [c for part in parts for c in colours_of(part)]
    assert found == [colour(answer) for answer in answers]
    assert {""} < set(found)  # some are colours, some are not


def test_a_killed_run_goes_on_and_gives_the_same_files(small_set, blip, monkeypatch):
    ask(small_set, blip)
    whole = files(small_set.colours)
    for path in small_set.colours.iterdir():
        path.unlink()
    asked, original = [], Blip.ask

    def dies_in_the_third_chunk(self, pixels, questions):
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append(len(questions))
        return original(self, pixels, questions)

    monkeypatch.setattr(Blip, "ask", dies_in_the_third_chunk)
    with pytest.raises(KeyboardInterrupt):
        ask(small_set, blip)
    assert sorted(files(small_set.colours)) == ["000000.json", "000001.json"]
    with pytest.raises(ValueError, match=r"tiny-vqa has not answered 3 of 5 chunks in .* for this selection"):
        read_colours(small_set.selection, small_set.colours)

    asked.clear()
    monkeypatch.setattr(Blip, "ask", lambda *a: asked.append(len(a[2])) or original(*a))
    ask(small_set, blip)
    assert files(small_set.colours) == whole
    assert sum(asked) == 22 - 10  # only what was missing
    asked.clear()
    ask(small_set, blip)
    assert asked == []


def test_processes_share_the_chunks(small_set, blip, tmp_path):
    ask(small_set, blip)
    whole = files(small_set.colours)
    for process in range(3):
        small_set.colours = tmp_path / f"process{process}"
        ask(small_set, blip, process=process, processes=3)
    shares = [files(tmp_path / f"process{process}") for process in range(3)]

    assert [sorted(share) for share in shares] == [
        ["000000.json", "000003.json"],
        ["000001.json", "000004.json"],
        ["000002.json"],
    ]
    assert shares[0] | shares[1] | shares[2] == whole


def test_damaged_answers_and_those_of_another_selection_are_asked_again(small_set, blip):
    ask(small_set, blip)
    whole = files(small_set.colours)
    damaged, other = small_set.colours / "000001.json", small_set.colours / "000002.json"
    damaged.write_text("{")
    other.write_text(other.read_text().replace('"rows": "', '"rows": "0'))
    with pytest.raises(ValueError, match="2 of 5 chunks"):
        read_colours(small_set.selection, small_set.colours)
    ask(small_set, blip)
    assert files(small_set.colours) == whole


def test_another_model_or_other_code_asks_again_and_another_selection_only_what_it_changes(
    small_set, blip, monkeypatch
):
    ask(small_set, blip)
    times = {path.name: path.stat().st_mtime_ns for path in small_set.colours.iterdir()}
    frame = pl.read_parquet(small_set.selection).with_row_index()
    changed = pl.when(pl.col("index") == 7).then(pl.lit("cat")).otherwise(pl.col("label"))
    metadata = pl.read_parquet_metadata(small_set.selection)
    frame.with_columns(label=changed).drop("index").write_parquet(
        small_set.selection, metadata={"finesse.selection": metadata["finesse.selection"]}
    )
    ask(small_set, blip)
    after = {path.name: path.stat().st_mtime_ns for path in small_set.colours.iterdir()}
    assert {name for name in times if after[name] != times[name]} == {"000001.json"}
    asked, original = [], Blip.ask
    monkeypatch.setattr(Blip, "ask", lambda *a: asked.append(len(a[2])) or original(*a))
    for name in ("file_hash", "code_hash"):
        monkeypatch.setattr(colours, name, lambda *_: "other")
        asked.clear()
        ask(small_set, blip)
        assert sum(asked) == 22


def test_objects_of_missing_and_damaged_pictures_have_no_answer(small_set, blip, caplog):
    first, second, *_ = sorted(small_set.images.iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:-300])
    ask(small_set, blip)
    _, parts = read_colours(small_set.selection, small_set.colours)
    answers = [answer for part in parts for answer in json.loads(part.read_text())["answers"]]

    assert [answer is None for answer in answers] == [True] * 4 + [False] * 18
    assert "4 objects of chunk 0 get no colour" in caplog.text


def test_other_folders_than_a_blips_are_refused(tmp_path, blip_folder, blip):
    cpu = torch.device("cpu")
    with pytest.raises(ValueError, match=r"none has no config.json: give the folder of a BLIP"):
        Blip(tmp_path / "none", cpu)
    CLIPTextConfig().save_pretrained(tmp_path / "clip")
    with pytest.raises(ValueError, match=r"clip cannot be used: its model type is clip_text_model"):
        Blip(tmp_path / "clip", cpu)
    BlipForConditionalGeneration(blip.model.config).save_pretrained(tmp_path / "captions")
    for path in Path(blip_folder).iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            (tmp_path / "captions" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"captions lacks the weights of text_encoder"):
        Blip(tmp_path / "captions", cpu)
    (tmp_path / "captions" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"captions cannot be used"):
        Blip(tmp_path / "captions", cpu)
