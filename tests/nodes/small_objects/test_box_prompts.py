"""Boxes with texts of their own: where and when each text holds, and what of `positive` hangs on it too."""

from __future__ import annotations

import pytest
import torch
from finesse.tests.nodes.stand_ins import BOX, FIVE, WordCLIP, cond, elements

IMAGE = torch.rand(1, 64, 64, 3)
DOG = {**BOX, "text": "a dog"}


def test_each_box_is_under_its_own_text_and_the_rest_under_positive(inpaint):
    positive, _, latent, region, report, *_ = inpaint(
        torch.rand(1, 128, 128, 3), positive=cond(control="kept"), boxes=FIVE, clip=WordCLIP()
    )
    assert [values.get("text") for _, values in positive] == [
        None,
        "a red car",
        "a dog",
        "a clock",
        "a pizza",
        "a cat",
    ]
    masks = torch.stack([values["mask"] for _, values in positive])
    assert torch.equal(masks.sum(0), torch.ones(1, 128, 128))
    assert torch.equal(1 - masks[0], region.alpha)
    assert torch.equal(latent["noise_mask"][:, 0], region.alpha)
    pizza, cat = masks[4][0], masks[5][0]
    assert cat[80:112, 80:112].min() == 1
    assert pizza[80:112, 80:112].max() == 0
    for _, values in positive:
        assert values["mask_strength"] == 1.0
        assert values["set_area_to_bounds"] is False
        assert values["control"] == "kept"
        assert "concat_latent_image" in values
    assert report.count("cells per UNet level") == 5
    assert "box 5 (a cat): 32×32 px at (80, 80)" in report


def test_boxes_without_text_leave_positive_alone(inpaint):
    positive, *_ = inpaint(torch.rand(1, 64, 64, 3), boxes=[[BOX, {**BOX, "y": 0}]])
    assert len(positive) == 1
    assert "mask" not in positive[0][1]


def test_box_without_text_is_under_positive_and_wins_over_earlier_ones(inpaint):
    boxes = elements(((0, 0, 500, 500), "a dog"), ((0, 250, 500, 500), ""))
    positive, *_ = inpaint(torch.rand(1, 64, 64, 3), boxes=boxes, clip=WordCLIP())
    rest, dog = (values["mask"] for _, values in positive)
    assert dog.sum() == 32 * 16
    assert torch.equal(rest, 1 - dog)


def test_covered_box_and_covered_background_are_not_sampled(inpaint):
    boxes = elements(((0, 0, 500, 500), "a dog"), ((0, 0, 1000, 1000), "a room"))
    positive, *_ = inpaint(torch.rand(1, 64, 64, 3), boxes=boxes, clip=WordCLIP())
    assert [values["text"] for _, values in positive] == ["a room"]


def test_boxes_of_the_same_text_share_an_entry(inpaint):
    boxes = elements(
        ((0, 0, 250, 250), "a dog"),
        ((0, 500, 250, 750), "a cat"),
        ((500, 0, 750, 250), "a dog"),
        ((625, 125, 875, 375), "a dog"),
    )
    positive, _, _, region, *_ = inpaint(IMAGE, boxes=boxes, clip=WordCLIP())
    assert [values.get("text") for _, values in positive] == [None, "a dog", "a cat"]
    masks = torch.stack([values["mask"] for _, values in positive])
    assert torch.equal(masks.sum(0), torch.ones(1, 64, 64))
    for box, text in zip(region.boxes, (1, 2, 1, 1), strict=True):
        assert bool((masks[text][box.index] == 1).all())


def test_boxes_of_the_same_text_under_other_controls_do_not_share(inpaint):
    left, right = cond(area=(8, 4, 0, 0), control="left"), cond(area=(8, 4, 0, 4), control="right")
    boxes = elements(*(((0, x, 250, x + 250), "a dog") for x in (0, 250, 625)))
    positive, *_ = inpaint(IMAGE, boxes=boxes, positive=left + right, clip=WordCLIP())
    dogs = [values for _, values in positive if values.get("text") == "a dog"]
    assert [(values["control"], int(values["mask"].sum())) for values in dogs] == [
        ("left", 2 * 256),
        ("right", 256),
    ]


def test_a_text_holds_in_the_picture_of_its_box_alone(inpaint):
    boxes = [[{**BOX, "text": "a dog"}], [], [{**BOX, "text": "a cat"}, {**BOX, "y": 0, "text": "a dog"}]]
    positive, _, latent, region, report, *_ = inpaint(torch.rand(3, 64, 64, 3), boxes=boxes, clip=WordCLIP())
    rest, dog, cat = (values["mask"] for _, values in positive)
    assert torch.equal(rest + dog + cat, torch.ones(3, 64, 64))
    assert torch.equal(1 - rest, region.alpha)
    assert torch.equal(latent["noise_mask"][:, 0], region.alpha)
    assert [[int(mask[place].sum()) for place in range(3)] for mask in (dog, cat)] == [
        [24 * 16, 0, 24 * 16],
        [0, 0, 24 * 16],
    ]
    assert "box 2 of picture 3 (a dog): 24×16 px at (16, 0)" in report


# What positive is made of


@pytest.fixture
def stock(comfy):
    import nodes

    return nodes


def made(stock, name):
    """`positive` of two prompts, one of which has a place or a time of its own."""
    first, second = cond(text="first", width=1024), cond(text="second", width=1024)
    corner = torch.zeros(1, 64, 64)
    corner[:, :32] = 1
    if name == "schedule":
        set_range = stock.ConditioningSetTimestepRange().set_range
        return set_range(first, 0.0, 0.4)[0] + set_range(second, 0.4, 1.0)[0]
    own = {
        "area": lambda: stock.ConditioningSetArea().append(first, 64, 64, 0, 0, 0.5),
        "percentage": lambda: stock.ConditioningSetAreaPercentage().append(first, 0.5, 0.5, 0.0, 0.0, 0.5),
        "mask": lambda: stock.ConditioningSetMask().append(first, corner, "mask bounds", 0.3),
        "default": lambda: ([[first[0][0], {**first[0][1], "default": True}]],),
        "gligen": lambda: (
            [[first[0][0], {**first[0][1], "gligen": ("position", None, [(0, 2, 2, 0, 0)])}]],
        ),
    }
    return own[name]()[0] + second


@pytest.mark.parametrize("name", ["schedule", "area", "percentage", "mask", "default", "gligen"])
@pytest.mark.parametrize("step", [1, -1])
def test_a_text_holds_in_its_box_whatever_positive_is_made_of(inpaint, stock, name, step):
    """In all of the box and for all steps, in whichever order positive was combined."""
    positive, _, _, region, *_ = inpaint(IMAGE, DOG, positive=made(stock, name)[::step], clip=WordCLIP())
    (dog,) = (values for _, values in positive if values["text"] == "a dog")
    others = [values for _, values in positive if values["text"] != "a dog"]
    assert dog.keys() == {
        *("text", "pooled_output", "width", "mask", "mask_strength", "set_area_to_bounds"),
        *("concat_latent_image", "concat_mask"),
    }
    assert torch.equal(dog["mask"], region.alpha)
    assert [dog[key] for key in ("mask_strength", "set_area_to_bounds", "width")] == [1.0, False, 1024]
    assert len(others) == 2
    for values in others:
        assert not (values["mask"] * region.alpha).any()


@pytest.mark.parametrize("step", [1, -1])
def test_a_mask_of_positive_is_kept_around_the_boxes(inpaint, stock, step):
    positive, _, _, region, *_ = inpaint(IMAGE, DOG, positive=made(stock, "mask")[::step], clip=WordCLIP())
    first, second = (next(v for _, v in positive if v["text"] == text) for text in ("first", "second"))
    corner = torch.zeros(1, 64, 64)
    corner[:, :32] = 1
    assert torch.equal(first["mask"], corner * (1 - region.alpha))
    assert (first["mask_strength"], first["set_area_to_bounds"]) == (0.3, True)
    assert torch.equal(second["mask"], 1 - region.alpha)
    assert (second["mask_strength"], second["set_area_to_bounds"]) == (1.0, False)


def test_a_mask_of_another_size_and_batch_is_fitted(inpaint):
    halves = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]])  # BHW: 3, 1, 2
    image = torch.rand(2, 64, 64, 3)
    masks = torch.ones(2, 64, 64)
    positive, *_ = inpaint(image, DOG, positive=cond(mask=halves), clip=WordCLIP(), mask=masks)
    mask = positive[0][1]["mask"]
    assert mask.shape == (2, 64, 64)
    assert mask[0, 0, [0, -1]].tolist() == [1, 0]
    assert mask[1, 0, [0, -1]].tolist() == [0, 1]


@pytest.mark.parametrize("step", [1, -1])
def test_a_box_has_what_hangs_on_the_prompts_that_reach_into_it(inpaint, step):
    far = cond(area=(2, 8, 6, 0), control="far", guidance=1.0)
    here = cond(area=(4, 8, 2, 0), control="here", width=512)
    positive, *_ = inpaint(IMAGE, DOG, positive=(far + here)[::step], clip=WordCLIP())
    dog = positive[-1][1]
    assert (dog["control"], dog["width"]) == ("here", 512)
    assert "guidance" not in dog


def test_a_box_that_no_prompt_reaches_has_its_sizes_but_no_control(inpaint):
    positive, *_ = inpaint(
        IMAGE, DOG, positive=cond(area=(1, 1, 7, 7), control="far", width=512), clip=WordCLIP(), context=32
    )
    ((_, dog),) = positive
    assert dog["width"] == 512
    assert "control" not in dog


def test_a_prompt_whose_area_the_boxes_cover_is_not_sampled(inpaint):
    covered = cond(area=(1, 1, 4, 3), text="covered")
    positive, *_ = inpaint(IMAGE, DOG, positive=covered + cond(text="around"), clip=WordCLIP())
    assert [values["text"] for _, values in positive] == ["around", "a dog"]


# Encoded prompts


def prompt(text, **values):
    return [[torch.ones(1, 1, 4), {"text": text, **values}]]


TWO = [{**BOX, "text": "a dog"}, {**BOX, "y": 0, "text": "a cat"}]


def test_a_prompt_takes_the_place_of_the_text_of_its_box(inpaint):
    """As those of encoders that read pictures, with the pictures on them."""
    given = prompt("from a picture", reference_latents=[1])
    positive, *_ = inpaint(IMAGE, TWO, positive=cond(guidance=3.5), prompts={"box2": given}, clip=WordCLIP())
    assert [values.get("text") for _, values in positive] == [None, "a dog", "from a picture"]
    assert torch.equal(positive[2][0], given[0][0])
    assert [values.get("reference_latents") for _, values in positive] == [None, None, [1]]
    assert all(values["guidance"] == 3.5 for _, values in positive)
    assert all(values["mask"].sum() == 24 * 16 for _, values in positive[1:])
    assert "mask" not in given[0][1]


def test_prompts_of_all_boxes_need_no_clip(inpaint):
    prompts = {"box1": prompt("one"), "box2": prompt("two")}
    positive, *_ = inpaint(IMAGE, TWO, prompts=prompts)
    assert [values.get("text") for _, values in positive] == [None, "one", "two"]


def test_a_prompt_keeps_its_place_and_its_steps(inpaint):
    """What is masked in the whole picture holds in that part of the box, in a window too."""
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 20:] = 1
    given = prompt("right part", mask=mask, start_percent=0.5)
    positive, _, _, region, *_ = inpaint(IMAGE, BOX, prompts={"box1": given}, context=32)
    _, values = positive[1]
    assert values["start_percent"] == 0.5
    expected = region.alpha.clone()
    expected[:, :, : 20 - region.window.x] = 0
    assert torch.equal(values["mask"], expected)


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ({"box1": prompt("a"), "box3": prompt("b")}, "prompts has box3, but the last box is number 2; draw"),
        ({"box1": prompt("a", area=(1, 1, 0, 0))}, "prompts.box1 has no effect in its box: .*unlink it"),
        ({"box1": []}, "prompts.box1 has no effect in its box"),
    ],
)
def test_bad_prompts_are_named(inpaint, prompts, said):
    with pytest.raises(ValueError, match=said):
        inpaint(IMAGE, TWO, prompts=prompts, clip=WordCLIP())


def test_the_texts_of_the_other_boxes_still_need_a_clip(inpaint):
    with pytest.raises(ValueError, match=r"box has texts \('a cat'\) but clip is not linked"):
        inpaint(IMAGE, TWO, prompts={"box1": prompt("a")})


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"box": DOG, "clip": None}, ["clip"]),
        ({"box": BOX, "boxes": FIVE, "clip": None}, ["clip"]),
        ({"box": DOG, "boxes": [BOX], "clip": None}, []),
        ({"box": BOX, "clip": None}, []),
        ({"box": DOG, "clip": None, "prompts": {"box1": prompt("a")}}, []),
        ({"box": DOG}, []),
        ({"box": DOG, "clip": WordCLIP()}, []),
    ],
)
def test_clip_is_loaded_for_a_text_only(inpaint_box, given, needed):
    """ComfyUI gives None for what is linked and not loaded yet, and nothing for what is not linked."""
    assert inpaint_box.check_lazy_status(image=IMAGE, model=None, **given) == needed
