"""The file of edits and its pictures: what is wrong with them is told before anything is learnt."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from finesse.tests.training.layers.photos import CAR, DOG, SIDE, process, write_edits
from finesse.training import layered
from finesse.training.layers.photo_edits import check_pictures, read_edits, read_mask, read_picture
from PIL import Image


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'image': 1}", "line 2 of edits.jsonl: is no JSON .*; write one such as"),
        ("[]", r"line 2 .* is no JSON object but \[\]"),
        (CAR | {"size": 3}, "line 2 .* sets size; an edit has image, mask, prompt, name, object"),
        (CAR | {"image": 3}, "line 2 .* image is 3; give a text"),
        (CAR | {"mask": " "}, "line 2 .* mask is empty; write it"),
        ({"image": "car.png"}, "line 2 .* has no mask, prompt; write an edit such as"),
        (CAR | {"seed": -1}, "line 2 .* seed is -1; give a whole number"),
        (CAR | {"seed": True}, "line 2 .* seed is True"),
        (CAR | {"image": "cat.png"}, "line 2 .* image: there is no .*cat.png; paths are relative to"),
        (CAR | {"reference": "cat.png"}, "line 2 .* reference: there is no .*cat.png"),
        (CAR | {"prompt": "..."}, "line 2 .* prompt is empty"),
        (CAR | {"object": ""}, "line 2 .* 'a red car' names no object; give it"),
        ({k: v for k, v in CAR.items() if k not in ("reference", "background")}, "names no background to"),
        (
            CAR | {"name": "DOG"},
            "line 2 .* its name 'DOG' is taken by line 1 of edits.jsonl; give each",
        ),
        (CAR | {"name": "../car"}, "line 2 .* leads out of"),
        (CAR | {"mask": "dog_mask.png"}, "line 2 .* dog_mask.png is 48x40 pixels and its image 32x32"),
        (CAR | {"mask": "black.png"}, "line 2 .* black.png is black in the middle square, .* paint the"),
        (CAR | {"mask": "white.png"}, "line 2 .* white.png is white all over; paint the background"),
        (CAR | {"image": "edits.jsonl"}, "line 2 .*edits.jsonl cannot be read as a picture"),
        (CAR | {"reference": "cut.png"}, "line 2 .*cut.png cannot be read as a picture"),
    ],
)
def test_a_bad_line_is_named_before_the_first_step(photos, layered_config, tmp_path, line, message):
    own = tmp_path / "photos"
    shutil.copytree(photos, own, ignore=shutil.ignore_patterns("base"))
    for name, value in (("black", 0), ("white", 255)):
        Image.new("L", (SIDE, SIDE), value).save(own / f"{name}.png")
    (own / "cut.png").write_bytes((own / "dog.png").read_bytes()[:200])
    write_edits(own, DOG, line)
    with pytest.raises(ValueError, match=message):
        layered.run(layered_config(tmp_path / "out", edits=str(own / "edits.jsonl")), process())
    assert not (tmp_path / "out").exists()


def test_photos_turned_by_the_camera_and_blank_lines(photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    photo = Image.open(photos / "dog.png")
    photo.save(tmp_path / "dog.png", exif=exif)
    Image.open(photos / "dog_mask.png").transpose(Image.Transpose.ROTATE_270).save(tmp_path / "dog_mask.png")
    write_edits(tmp_path, "", {k: v for k, v in DOG.items() if k != "name"}, "")
    (edit,) = read_edits(str(tmp_path / "edits.jsonl"), seed=3)
    assert (edit.name, edit.seed, edit.object, edit.background) == ("2", 3, "a dog jumping", "a forest")
    check_pictures([edit], SIDE)
    upright = photo.transpose(Image.Transpose.ROTATE_270).crop((0, 4, 40, 44)).resize((SIDE, SIDE), 1)
    expected = torch.from_numpy(np.asarray(upright) / 255).float().movedim(-1, 0)[None]
    torch.testing.assert_close(read_picture(edit.image, SIDE), expected, rtol=0, atol=1.1 / 255)
    assert read_mask(edit.mask, SIDE).shape == (SIDE, SIDE)
