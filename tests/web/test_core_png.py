"""PNG files of the map editor: what it writes Pillow reads, and the other way round."""

from __future__ import annotations

import io
import zlib
from base64 import b64decode

import numpy as np
import pytest
from finesse.tests.web.model_answers import ask, received, rng, sent, text
from PIL import Image


def test_pillow_reads_our_png_exactly_also_where_it_is_transparent():
    random = rng(6)
    images = [random.integers(0, 256, (h, w, 4), np.uint8) for h, w in ((1, 1), (7, 300), (64, 64))]
    images[1][..., 3] = random.choice([0, 255], (7, 300))
    for answer, image in zip(ask("encode", *({"map": sent(i)} for i in images)), images, strict=True):
        with Image.open(io.BytesIO(b64decode(answer))) as picture:
            assert picture.mode == "RGBA"
            assert np.array_equal(np.asarray(picture), image)


def picture_of(mode):
    random = rng(7)
    smooth = np.add.outer(np.arange(40), 3 * np.arange(51))[..., None] * np.array([1, 2, 3, 1])
    rgba = Image.fromarray((smooth + random.integers(0, 9, smooth.shape)).astype(np.uint8))
    if mode.startswith("P"):  # of 2, 4, 16 or 256 colours, which Pillow writes with 1, 2, 4 or 8 bits
        return rgba.convert("RGB").quantize(int(mode[1:]))
    return rgba.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "LA", "1", "P2", "P4", "P16", "P256"])
def test_we_read_pillows_png(mode):
    picture, files = picture_of(mode), []
    for options in ({}, {"optimize": True}, {"compress_level": 0}):
        file = io.BytesIO()
        picture.save(file, "png", **options)
        files.append(file.getvalue())
    for answer in ask("decode", *({"png": text(file)} for file in files)):
        assert np.array_equal(received(answer, 4), np.asarray(picture.convert("RGBA")))


def test_we_read_a_palette_with_transparent_colours():
    picture, file = picture_of("P16"), io.BytesIO()
    picture.save(file, "png", transparency=bytes([0, 128, 255]))
    (answer,) = ask("decode", {"png": text(file.getvalue())})
    with Image.open(file) as reread:
        assert np.array_equal(received(answer, 4), np.asarray(reread.convert("RGBA")))


def png_with_filters(image, filters):
    """A PNG whose rows have these filters in turn."""
    rows, above = [], np.zeros(image.shape[1:], int)
    for number, row in enumerate(image.astype(int)):
        kind = filters[number % len(filters)]
        left, corner = (np.vstack([np.zeros((1, row.shape[1]), int), line[:-1]]) for line in (row, above))
        guess = left + above - corner
        far = [np.abs(guess - near) for near in (left, above, corner)]
        paeth = np.where(
            (far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner)
        )
        predicted = [0, left, above, (left + above) // 2, paeth][kind]
        rows.append(bytes([kind]) + (row - predicted).astype(np.uint8).tobytes())
        above = row
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[image.shape[2]]
    header = b"".join(side.to_bytes(4, "big") for side in image.shape[1::-1]) + bytes([8, kind, 0, 0, 0])
    data = zlib.compress(b"".join(rows))
    chunks = ((b"IHDR", header), (b"IDAT", data[:50]), (b"IDAT", data[50:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in chunks
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_we_read_rows_of_every_filter(channels):
    image = rng(8).integers(0, 256, (23, 31, channels), np.uint8)
    files = [png_with_filters(image, filters) for filters in ([0], [1], [2], [3], [4], [4, 3, 1, 0, 2])]
    for answer, file in zip(ask("decode", *({"png": text(file)} for file in files)), files, strict=True):
        with Image.open(io.BytesIO(file)) as picture:
            assert np.array_equal(received(answer, 4), np.asarray(picture.convert("RGBA")))
