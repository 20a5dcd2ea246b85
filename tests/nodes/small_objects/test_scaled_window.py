"""*Inpaint Small Box* with a scaled window: what is sampled, and all that follows its scale."""

import pytest
import torch
from finesse.core.images import resize_lanczos
from finesse.core.small_objects.boxes import Box
from finesse.tests.nodes.stand_ins import PoolingVAE, WordCLIP, cond

IMAGE = torch.rand(1, 100, 150, 3, generator=torch.Generator().manual_seed(0))
SMALL = {"x": 61, "y": 43, "width": 16, "height": 10}
TWICE = {"scale": "side", "side": 128}  # with a context of 64 px
SCALES = [
    {"scale": "auto", "limit": 4.0, "model_side": 256},
    {"scale": "auto", "limit": 3.3, "model_side": 200},
    {"scale": "side", "side": 200},
    {"scale": "side", "side": 48},
    {"scale": "megapixels", "megapixels": 0.03},
]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("batch", [1, 2])
def test_outside_the_box_every_pixel_is_the_originals(inpaint, composite, scale, batch):
    image = IMAGE.repeat(batch, 1, 1, 1)
    _, _, latent, region, _, window, mask = inpaint(image, SMALL, scale=scale)
    width, height = region.scaled
    assert window.shape == (batch, height, width, 3)
    assert mask.shape == (1, height, width)
    assert latent["samples"].shape[-2:] == (height // 8, width // 8)
    assert torch.equal(latent["noise_mask"], mask[:, None])
    result = composite(image, torch.rand(batch, height, width, 3), region, 2, "ring")
    box = Box(*SMALL.values())
    changed = (result != image).any(dim=-1)
    assert bool(changed[box.index].all())
    assert int(changed.sum()) == batch * box.width * box.height


def test_the_window_is_enlarged_by_lanczos(inpaint):
    vae = PoolingVAE()
    *_, region, _, window, _ = inpaint(IMAGE, SMALL, vae, scale=TWICE, context=64)
    box = region.window
    assert (box.width, box.height, region.scaled) == (64, 64, (128, 128))
    assert torch.equal(window, resize_lanczos(IMAGE[box.index], 128, 128))
    assert torch.equal(vae.seen[0], window)


def test_no_scale_is_as_in_workflows_of_before_it_existed(inpaint):
    before, none = inpaint(IMAGE, SMALL), inpaint(IMAGE, SMALL, scale={"scale": "none"})
    assert torch.equal(before[2]["samples"], none[2]["samples"])
    assert before[3].scaled is none[3].scaled is None
    assert torch.equal(before[6], none[6])


def test_the_report_tells_of_the_scale(inpaint):
    report = inpaint(IMAGE, SMALL, scale=TWICE, context=64)[4]
    assert "box: 16×10 px at (61, 43), sampled at 32×20 px; cells per UNet level: 4×2.5," in report
    assert "Window 64×64 px at (37, 16), sampled at 128×128 px (2 times); 8 px a cell" in report


def test_areas_and_masks_of_prompts_follow_the_scale(inpaint):
    mask = torch.zeros(1, 100, 150)
    mask[:, 16:48, 37:69] = 1
    prompts = cond(area=(4, 5, 2, 6)) + cond(mask=mask, mask_strength=1.0)
    positive, *_ = inpaint(IMAGE, SMALL, positive=prompts, scale=TWICE, context=64)
    # rows 16 to 48 and columns 48 to 88 of the picture, in a window at (37, 16) of twice the size
    assert positive[0][1]["area"] == (8, 11, 0, 2)
    cut = positive[1][1]["mask"]
    assert cut.shape[-2:] == (64, 64)  # it stretches over the window
    assert bool((cut[:, :32, :32] == 1).all())
    assert int(cut.sum()) == 32 * 32


def test_the_text_of_a_box_holds_in_the_sampled_box(inpaint):
    positive, *_, mask = inpaint(IMAGE, {**SMALL, "text": "a dog"}, clip=WordCLIP(), scale=TWICE, context=64)
    around, dog = positive
    assert torch.equal(dog[1]["mask"], mask)
    assert torch.equal(around[1]["mask"], 1 - mask)


def test_a_boxs_noise_lies_in_the_sampled_box(inpaint):
    import comfy.sample
    from finesse.nodes.small_objects.noise_per_box import BoxNoise

    boxes = [{**SMALL, "seed": 7}]
    _, _, latent, region, *_ = inpaint(IMAGE, boxes, scale=TWICE, context=64)
    (noise,) = BoxNoise.execute(region, 0, "").args
    made = noise.generate_noise(latent)
    stock, own = (comfy.sample.prepare_noise(latent["samples"], seed) for seed in (0, 7))
    cells = latent["noise_mask"][:, :, ::8, ::8].bool().expand_as(made)
    assert torch.equal(made[cells], own[cells])
    assert torch.equal(made[~cells], stock[~cells])
