"""Reads the edits for LayerDiffusion to learn from a file with one JSON object a line, and their pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from ...core.files import confined, file_hash
from ...core.layers.split_prompt import split_edit_prompt

NEEDED = ("image", "mask", "prompt")
TEXTS = (*NEEDED, "name", "object", "background", "reference")
SEED = "seed"
EXAMPLE = '{"image": "dog.jpg", "mask": "dog_mask.png", "prompt": "a dog jumping in a forest"}'


@dataclass(frozen=True)
class PhotoEdit:
    """One edit of one photo, from a line of the file.

    where: the line and its file, for messages. reference: None draws it from the background's text.
    """

    where: str
    name: str
    prompt: str
    object: str
    background: str
    image: Path
    mask: Path
    reference: Path | None
    seed: int

    def settings(self) -> dict[str, Any]:
        """All that the result depends on; pictures count by their content, not their path."""
        pictures = [path for path in (self.image, self.mask, self.reference) if path]
        texts = {name: getattr(self, name) for name in ("prompt", "object", "background", SEED)}
        return {**texts, "pictures": [file_hash(path) for path in pictures]}


def read_edits(path: str, seed: int) -> list[PhotoEdit]:
    """Read the edits in a file; lines without a seed get `seed`. ValueError names the line and what to do."""
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"edits: there is no file {path!r}; give one with a line such as {EXAMPLE}.")
    edits: list[PhotoEdit] = []
    taken: dict[str, str] = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"line {number} of {file.name}"
        try:
            edit = _edit(_fields(line), file.parent, where, number, seed)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if other := taken.get(edit.name.casefold()):
            raise ValueError(f"{where}: its name {edit.name!r} is taken by {other}; give each edit its own.")
        taken[edit.name.casefold()] = where
        edits.append(edit)
    if not edits:
        raise ValueError(f"edits: {path} is empty; write lines such as {EXAMPLE}.")
    return edits


def check_pictures(edits: Sequence[PhotoEdit], side: int) -> None:
    """Raise ValueError, naming the line and what to do, unless all pictures can be used."""
    for edit in edits:
        try:
            _check_pictures(edit, side)
        except ValueError as error:
            raise ValueError(f"{edit.where}: {error}") from error


def read_picture(path: Path, side: int) -> Tensor:
    """Read the middle square of a picture, (1, 3, side, side) in [0, 1]."""
    return _square(_open(path).convert("RGB"), side, Image.Resampling.LANCZOS)[None]


def read_mask(path: Path, side: int) -> Tensor:
    """Read the middle square of a mask, (side, side), 1 on the object."""
    return _square(_open(path).convert("L"), side, Image.Resampling.BILINEAR)[0]


def _fields(line: str) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is no JSON ({error}); write one such as {EXAMPLE}.") from error
    if not isinstance(given, dict):
        raise ValueError(f"is no JSON object but {given!r}; write one such as {EXAMPLE}.")
    if unknown := sorted(set(given) - {*TEXTS, SEED}):
        raise ValueError(f"sets {', '.join(unknown)}; an edit has {', '.join((*TEXTS, SEED))}.")
    for name in TEXTS:
        value = given.get(name, "")
        if not isinstance(value, str):
            raise ValueError(f"{name} is {value!r}; give a text in quotes.")
        if name in given and not value.strip() and name not in ("object", "background"):
            raise ValueError(f"{name} is empty; write it, or leave it out if it may be.")
    if missing := [name for name in NEEDED if name not in given]:
        raise ValueError(f"has no {', '.join(missing)}; write an edit such as {EXAMPLE}.")
    seed = given.get(SEED, 0)
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed!r}; give a whole number from 0 to 2^63 - 1.")
    return given


def _edit(given: dict[str, Any], folder: Path, where: str, number: int, seed: int) -> PhotoEdit:
    found = split_edit_prompt(given["prompt"])
    texts = {name: given.get(name, getattr(found, name)).strip() for name in ("object", "background")}
    paths = {name: folder / given[name] for name in ("image", "mask", "reference") if name in given}
    for name, path in paths.items():
        if not path.is_file():
            raise ValueError(f"{name}: there is no {path}; paths are relative to the file of edits.")
    if not texts["object"]:
        raise ValueError(f'the prompt {given["prompt"]!r} names no object; give it as "object".')
    if not texts["background"] and "reference" not in paths:
        raise ValueError(
            f'the prompt {given["prompt"]!r} names no background to draw; give it as "background", or a '
            'picture of it as "reference".'
        )
    name = given.get("name", str(number))
    confined(name, folder)
    return PhotoEdit(
        where,
        name,
        given["prompt"],
        seed=given.get(SEED, seed),
        **texts,
        **{"reference": None, **paths},
    )


def _check_pictures(edit: PhotoEdit, side: int) -> None:
    photo, mask = _open(edit.image), _open(edit.mask)
    if photo.size != mask.size:
        sizes = ["x".join(map(str, picture.size)) for picture in (mask, photo)]
        raise ValueError(f"mask {edit.mask.name} is {sizes[0]} pixels and its image {sizes[1]}; make it fit.")
    inside = read_mask(edit.mask, side)
    if inside.max() == 0:
        raise ValueError(
            f"mask {edit.mask.name} is black in the middle square, which is what is learnt; paint the object "
            "white, or crop the image around it."
        )
    if inside.min() == 1:
        raise ValueError(f"mask {edit.mask.name} is white all over; paint the background black.")
    if edit.reference:
        _open(edit.reference)


def _open(path: Path) -> Image.Image:
    """Open a picture the right way up: cameras store the rotation separately."""
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as a picture ({error}); save it anew as PNG.") from error


def _square(picture: Image.Image, side: int, how: Image.Resampling) -> Tensor:
    return pil_to_tensor(ImageOps.fit(picture, (side, side), how)) / 255
