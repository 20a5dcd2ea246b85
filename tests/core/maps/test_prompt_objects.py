"""The objects that prompts name."""

import pytest
from finesse.core.maps.custom_palette import custom_palette
from finesse.core.maps.object_words import ADE20K_WORDS, CELEBAMASK_WORDS, COCO_STUFF_WORDS, WIDER
from finesse.core.maps.palettes import ADE20K, CELEBAMASK, COCO_STUFF, COCO_STUFF_FGDM
from finesse.core.maps.prompt_objects import counts_in, labels_from, objects_in, shown_by

SENTENCES = {
    "a dog chases a cat": "dog, cat",
    "A Dog. A CAT!": "dog, cat",
    "a cat, a dog and the cat": "cat, dog",
    "a hot dog on a plate": "hot dog, plate",
    "hot dogs": "hot dog",
    "a hotdog next to a dog": "hot dog, dog",
    "a teddy bear": "teddy bear",
    "a teddy, a bear": "teddy bear, bear",
    "two traffic lights and a light": "traffic light, light",
    "two men, women and children": "person",
    "people with knives eat sandwiches": "person, knife, sandwich",
    "buses, benches, sheep, mice, scissors": "bus, bench, sheep, mouse, scissors",
    "shelves of glasses": "shelf, eye glasses",
    "policemen on ponies": "person, horse",
    "a puppy, a kitten, a lamb and a calf": "dog, cat, sheep, cow",
    "a boy rides his bike, a girl a motorbike": "person, bicycle, motorcycle",
    "an aeroplane, a plane and a jet": "airplane",
    "a sofa before a television": "couch, tv",
    "a smartphone and a soccer ball": "cell phone, sports ball",
    "football players with a football": "person, sports ball",
    "blue sky over a wall, water on the ground": "sky-other, wall-other, water-other, ground-other",
    "a door, a window": "door, window",
    "a brick wall, a tiled floor": "wall-brick, floor-tile",
    "concatenate the dogma of carpets": "carpet",
    "the dog's tail, dogs' ears": "dog",
    "a stop-sign and traffic_lights": "stop sign, traffic light",
    "an orange and a cat": "orange, cat",
    "an orange cat, a black and orange bird": "cat, bird",
    "an orange and white horse": "horse",
    "a man in an orange shirt": "person",
    "oranges left of an orange on a plate": "orange, plate",
    "a stone bridge, a light blue car": "bridge, car",
    "a baby bear, a baby": "bear, person",
    "a street without any cars, no people": "road",
    "a bus stop, orange juice, cinematic light": "",
    "an oil painting of a horse": "horse",
    "masterpiece, 8k, best quality, 35mm photo": "",
    "unlabeled, solid": "",
    "": "",
}

SYNTAX = {
    "a (dog:1.2), ((cat)), [horse]": "dog, cat, horse",
    "(traffic:1.1) light, hot (dog: 0.9)": "traffic light, hot dog",
    "((a teddy bear:1.3) in a red car:0.8)": "teddy bear, car",
    "embedding:cat, a dog": "dog",
    "(embedding:cat:1.2), (a dog, embedding:people/man.pt:1.1)": "dog",
    "<lora:horse:0.8> a dog": "dog",
    "hot BREAK dog, teddy\nbear": "dog, teddy bear, bear",
    r"a dog \(husky\), {red|blue} kite": "dog, kite",
    "1girl, 2boys, solo": "person",
}


def listed(text):
    return [name for name in text.split(", ") if name]


@pytest.mark.parametrize(("prompt", "expected"), (SENTENCES | SYNTAX).items())
def test_objects_come_in_the_prompts_order(prompt, expected):
    assert objects_in(prompt, COCO_STUFF) == listed(expected)
    assert objects_in(prompt, COCO_STUFF_FGDM) == listed(expected)


@pytest.mark.parametrize("palette", [COCO_STUFF, ADE20K, CELEBAMASK], ids=lambda palette: palette.name)
def test_every_label_answers_to_its_own_name(palette):
    silent = {label for label in palette.labels if objects_in(f"a photo of a {label}", palette) != [label]}
    assert silent == {"unlabeled", "background"} & set(palette.labels)


@pytest.mark.parametrize(
    ("palette", "words"),
    [(COCO_STUFF, COCO_STUFF_WORDS), (ADE20K, ADE20K_WORDS), (CELEBAMASK, CELEBAMASK_WORDS)],
)
def test_every_word_names_the_label_it_stands_by(palette, words):
    assert set(words) <= set(palette.labels)
    for label, others in words.items():
        assert not set(others) & set(palette.labels)
        for word in others:
            assert label in objects_in(f"a photo of a {word}", palette), word


def test_no_word_of_coco_stuff_stands_for_two_labels():
    words = [word for others in COCO_STUFF_WORDS.values() for word in others]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    {
        "a man and his dog on a sofa, tv on": "person, animal, sofa, television receiver",
        "a skyscraper, a palm tree, an armchair": "skyscraper, palm, armchair",
        "two motorcycles, a bicycle, a pizza": "minibike, bicycle, food",
        "a painting of a painting": "painting",
        "a fork": "",
    }.items(),
)
def test_ade20k_answers_to_coco_stuffs_words_too(prompt, expected):
    assert objects_in(prompt, ADE20K) == listed(expected)


def test_parts_of_a_face():
    prompt = "a woman with blue eyes, red lips, long hair, earrings and a hat, blurred background"
    assert objects_in(prompt, CELEBAMASK) == ["l_eye", "r_eye", "u_lip", "l_lip", "hair", "ear_r", "hat"]
    assert objects_in("left eyebrow, sunglasses", CELEBAMASK) == ["l_brow", "eye_g"]


def test_a_custom_palette_answers_to_its_names_and_known_words():
    palette = custom_palette(
        {"Red Fox": [1, 0, 0], "Person": [2, 0, 0], "wall": [3, 0, 0], "Füße": [4, 0, 0]}
    )
    assert objects_in("two red foxes, a man, füße before walls", palette) == [
        "Red Fox",
        "Person",
        "Füße",
        "wall",
    ]
    assert objects_in("a cat", palette) == []


@pytest.mark.parametrize(
    ("prompt", "expected"),
    {
        "two dogs": {"dog": 2},
        "two big brown dogs and 3 cats": {"dog": 2, "cat": 3},
        "a dog, another dog and the cat": {"dog": 2, "cat": 1},
        "a couple of dogs, a pair of scissors, dogs": {"dog": 2, "scissors": 1},
        "a dozen donuts and people": {"donut": 12, "person": 1},
        "2girls, a man": {"person": 3},
        "a 1980 car": {"car": 1},
    }.items(),
)
def test_objects_are_counted(prompt, expected):
    assert counts_in(prompt, COCO_STUFF) == expected


def test_a_list_is_read_by_names_and_words():
    text = "dog, Traffic Light\n wall-brick;man, two kittens, the sky,, person\n"
    labels = ["dog", "traffic light", "wall-brick", "person", "cat", "sky-other"]
    assert labels_from(text, COCO_STUFF) == [COCO_STUFF.index(label) for label in labels]
    assert labels_from("unlabeled", COCO_STUFF) == [0]
    assert labels_from(" , \n", COCO_STUFF) == []
    assert labels_from("eyes", CELEBAMASK) == [4, 5]


def test_the_objects_of_a_prompt_can_be_read_back():
    for palette in (COCO_STUFF, ADE20K, CELEBAMASK):
        assert labels_from(", ".join(palette.labels), palette) == list(range(len(palette.labels)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dog, dgo", r"objects: the palette coco-stuff has no 'dgo' \(did you mean dog\?\); use its labels"),
        ("trafic light", r"'trafic light' \(did you mean traffic light or .*\?\)"),
        ("smartphne", r"'smartphne' \(did you mean cell phone\?\)"),
        ("unicorn, zzz", r"no 'unicorn', no 'zzz'; use"),
        ("dog house", "no 'dog house'"),
        ("!", "no '!'"),
    ],
)
def test_unknown_names_are_told(text, said):
    with pytest.raises(ValueError, match=said):
        labels_from(text, COCO_STUFF)


def test_a_plain_label_is_shown_by_its_kinds():
    wanted = [COCO_STUFF.index(label) for label in ("dog", "door", "ceiling-other", "wall-brick", "table")]
    shown = {
        name: [COCO_STUFF.labels[i] for i in labels] for name, labels in shown_by(wanted, COCO_STUFF).items()
    }
    assert shown == {
        "dog": ["dog"],
        "door": ["door", "door-stuff"],
        "ceiling-other": ["ceiling-other", "ceiling-tile"],
        "wall-brick": ["wall-brick"],
        "table": ["dining table", "table"],
    }
    assert {label for pair in WIDER.items() for label in (pair[0], *pair[1])} <= set(COCO_STUFF.labels)


def test_labels_of_one_colour_show_each_other():
    road, skyscraper = ADE20K.index("road"), ADE20K.index("skyscraper")
    both = [road, skyscraper]
    assert shown_by([skyscraper, 12], ADE20K) == {"skyscraper": both, "person": [12]}
