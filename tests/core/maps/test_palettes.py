"""The palettes of segmentation maps."""

import hashlib

import numpy as np
import pytest
from finesse.core.maps.palettes import (
    ADE20K,
    CELEBAMASK,
    COCO_STUFF,
    COCO_STUFF_FGDM,
    PALETTES,
    read_colour,
    voc_colour,
)

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


def test_fgdms_code_paints_coco_stuff_one_label_back():
    assert COCO_STUFF_FGDM.labels == COCO_STUFF.labels
    painted = {
        "person": VOC[0],
        "bicycle": VOC[1],
        "car": VOC[2],
        "airplane": VOC[4],
        "wood": voc_colour(181),
    }
    painted["unlabeled"] = voc_colour(182)
    assert {label: COCO_STUFF_FGDM.colours[COCO_STUFF_FGDM.index(label)] for label in painted} == painted


# A handful from each end, and the labels around the ones that are easily lost.
ADE = {
    0: ("wall", (120, 120, 120)),
    1: ("building", (180, 120, 120)),
    2: ("sky", (6, 230, 230)),
    7: ("bed", (204, 5, 255)),
    12: ("person", (150, 5, 61)),
    20: ("car", (0, 102, 200)),
    46: ("sand", (160, 150, 20)),
    84: ("tower", (255, 184, 184)),
    105: ("conveyer belt", (133, 0, 255)),
    114: ("tent", (112, 224, 255)),
    126: ("animal", (255, 0, 122)),
    127: ("bicycle", (255, 245, 0)),
    147: ("glass", (25, 194, 194)),
    149: ("flag", (92, 0, 255)),
}


@pytest.mark.parametrize(("index", "entry"), ADE.items())
def test_ade20k_is_as_controlnet_reads_it(index, entry):
    assert (ADE20K.labels[index], ADE20K.colours[index]) == entry


def test_ade20k_has_150_labels_of_which_two_share_a_colour():
    assert len(ADE20K.labels) == len(set(ADE20K.labels)) == 150
    road, skyscraper = ADE20K.index("road"), ADE20K.index("skyscraper")
    assert ADE20K.colours[road] == ADE20K.colours[skyscraper] == (140, 140, 140)
    assert len(set(ADE20K.colours)) == 149
    assert ADE20K.decode(ADE20K.encode(np.array([skyscraper]))) == [road]


def test_ade20k_is_the_whole_table_of_controlnets_annotators():
    """The digest is that of UniFormer's names with OneFormer's colours, as in ControlNet v1.1."""
    entries = repr(list(zip(ADE20K.labels, ADE20K.colours, strict=True)))
    assert hashlib.sha256(entries.encode()).hexdigest().startswith("f8d53c12034fb25e")


def test_celebamask_is_the_table_of_its_authors():
    expected = {"background": (0, 0, 0), "skin": (204, 0, 0), "r_brow": (255, 204, 204), "hair": (0, 0, 204)}
    expected |= {"neck_l": (0, 51, 0), "neck": (255, 153, 51), "cloth": (0, 204, 0)}
    assert {label: CELEBAMASK.colours[CELEBAMASK.index(label)] for label in expected} == expected
    assert CELEBAMASK.labels[:4] == ("background", "skin", "nose", "eye_g")
    assert len(set(CELEBAMASK.labels)) == len(CELEBAMASK.labels) == len(set(CELEBAMASK.colours)) == 19


def test_all_palettes_go_by_their_names():
    assert {name: palette.name for name, palette in PALETTES.items()} == {name: name for name in PALETTES}
    assert set(PALETTES) == {"coco-stuff", "coco-stuff-fgdm", "ade20k", "celebamask"}


@pytest.mark.parametrize("shape", [(183,), (7, 5), (2, 9, 4), (0, 3)])
def test_a_map_decodes_to_what_was_encoded(shape):
    labels = np.random.default_rng(0).integers(0, 183, shape)
    painted = COCO_STUFF.encode(labels)
    assert painted.dtype == np.uint8
    assert painted.shape == (*shape, 3)
    assert np.array_equal(COCO_STUFF.decode(painted), labels)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_decoding_takes_the_nearest_colour(palette):
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    distance = ((noise[..., None, :].astype(int) - palette.table.astype(int)) ** 2).sum(-1)
    assert np.array_equal(palette.decode(noise), distance.argmin(-1))


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match=r"label: 'unicorn' is not in the palette coco-stuff"):
        COCO_STUFF.index("unicorn")
    with pytest.raises(ValueError, match=r"labels: indices 3 to 183 do not fit"):
        COCO_STUFF.encode(np.array([3, 183]))
    with pytest.raises(ValueError, match=r"colours: got float64 of shape \(4, 4, 3\)"):
        COCO_STUFF.decode(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match=r"colours: got uint8 of shape \(4, 4\)"):
        COCO_STUFF.decode(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("#FF8000", (255, 128, 0)),
        ([255, 128, 0], (255, 128, 0)),
        ((255.0, 128, 0), (255, 128, 0)),
        *((bad, None) for bad in ("ff8000", "#ff80", "#ff80001", "#ff 800", "red", None, 3, True, {})),
        *((bad, None) for bad in ([0, 0], [0, 0, 0, 0], [0, 0, 256], [0, -1, 0], [0, 0.5, 0], [True, 0, 0])),
        *((bad, None) for bad in ([0, 0, float("nan")], [0, 0, float("inf")], ["0", 0, 0], [[0], 0, 0])),
    ],
)
def test_colours_are_read_in_either_form(value, expected):
    found = read_colour(value)
    assert found == expected
    assert found is None or all(type(part) is int for part in found)
