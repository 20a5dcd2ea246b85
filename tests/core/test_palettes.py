"""The palettes of segmentation maps."""

import numpy as np
import pytest
from finesse.core.palettes import COCO_STUFF, PALETTES, voc_colour

# The first colours of the PASCAL VOC development kit, and a few further on.
VOC = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    4: (0, 0, 128),
    7: (128, 128, 128),
    8: (64, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
    255: (224, 224, 192),
}


@pytest.mark.parametrize(("index", "colour"), VOC.items())
def test_colours_are_those_of_pascal_voc(index, colour):
    assert voc_colour(index) == colour


def test_coco_stuff_has_the_official_labels():
    assert len(COCO_STUFF.labels) == len(set(COCO_STUFF.labels)) == len(set(COCO_STUFF.colours)) == 183
    official = {0: "unlabeled", 1: "person", 13: "stop sign", 91: "hair brush", 92: "banner", 124: "grass"}
    official |= {154: "sand", 157: "sky-other", 159: "snow", 169: "tree", 182: "wood"}
    assert {i: COCO_STUFF.labels[i] for i in official} == official
    assert all(COCO_STUFF.index(label) == i for i, label in enumerate(COCO_STUFF.labels))
    assert PALETTES["coco-stuff"] is COCO_STUFF


@pytest.mark.parametrize("shape", [(183,), (7, 5), (2, 9, 4), (0, 3)])
def test_a_map_decodes_to_what_was_encoded(shape):
    labels = np.random.default_rng(0).integers(0, 183, shape)
    painted = COCO_STUFF.encode(labels)
    assert painted.dtype == np.uint8
    assert painted.shape == (*shape, 3)
    assert np.array_equal(COCO_STUFF.decode(painted), labels)


def test_decoding_takes_the_nearest_colour():
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    distance = ((noise[..., None, :].astype(int) - COCO_STUFF.table.astype(int)) ** 2).sum(-1)
    assert np.array_equal(COCO_STUFF.decode(noise), distance.argmin(-1))


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match=r"label: 'unicorn' is not in the palette coco-stuff"):
        COCO_STUFF.index("unicorn")
    with pytest.raises(ValueError, match=r"labels: indices 3 to 183 do not fit"):
        COCO_STUFF.encode(np.array([3, 183]))
    with pytest.raises(ValueError, match=r"colours: got float64 of shape \(4, 4, 3\)"):
        COCO_STUFF.decode(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match=r"colours: got uint8 of shape \(4, 4\)"):
        COCO_STUFF.decode(np.zeros((4, 4), np.uint8))
