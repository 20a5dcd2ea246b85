"""*Inpaint Small Box* and *Composite Box* in this process, on ComfyUI's own modules."""

import pytest
import torch
import torch.nn.functional as F
from finesse.core.small_objects.boxes import Box
from finesse.miniature.model import networks
from finesse.tests.coroutines import awaited
from finesse.tests.nodes.families import family
from finesse.tests.nodes.stand_ins import BOX, FIVE, SETTINGS, PoolingVAE, WordCLIP, cond


@pytest.fixture(scope="module")
def miniature(tmp_path_factory, comfy):
    """MODEL, CLIP and VAE of random weights: the inpainting UNet, scale 4."""
    from finesse.miniature.comfy.diffusers_folder import load_clip, load_unet, load_vae

    folder = tmp_path_factory.mktemp("miniature")
    networks.random(folder)
    return load_unet(folder, "unet_inpainting"), load_clip(folder), load_vae(folder)


# The same as core


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("noise_mask", [True, False])
def test_conditioning_and_latent_are_those_of_core_bit_for_bit(inpaint, batch, noise_mask):
    import nodes

    torch.manual_seed(0)
    image, mask = torch.rand(batch, 64, 96, 3), torch.rand(batch, 64, 96)
    everything = {"x": 0, "y": 0, "width": 96, "height": 64}
    ours = inpaint(image, everything, mask=mask, noise_mask=noise_mask, snap=False)
    stock = nodes.InpaintModelConditioning().encode(cond(), cond(), image, PoolingVAE(), mask, noise_mask)
    for slot in (0, 1):
        assert ours[slot][0][1].keys() == stock[slot][0][1].keys()
        for name, value in stock[slot][0][1].items():
            assert torch.equal(ours[slot][0][1][name], value), name
    assert ours[2].keys() == stock[2].keys()
    for name, value in stock[2].items():
        assert torch.equal(ours[2][name], value), name


def test_the_inputs_are_left_as_they_were(inpaint):
    image, mask, positive = torch.rand(1, 64, 64, 3), torch.ones(1, 64, 64), cond(kept=1)
    before = image.clone(), mask.clone()
    inpaint(image, mask=mask, positive=positive)
    assert torch.equal(image, before[0])
    assert torch.equal(mask, before[1])
    assert positive[0][1] == {"kept": 1}


# The window


@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 50), (65, 127), (128, 64)])
def test_every_size_gives_whole_cells_and_composites_back(inpaint, scale, size, composite):
    image = torch.rand(1, *size, 3)
    vae = PoolingVAE(scale)
    box = {"x": 0, "y": 0, "width": 12, "height": 512}
    _, _, latent, region, *_ = inpaint(image, box, vae)
    window = region.window
    assert latent["samples"].shape[-2:] == (window.height // scale, window.width // scale)
    assert latent["noise_mask"].shape == (1, 1, window.height, window.width)
    assert torch.equal(vae.seen[0][:, : size[0], : size[1]], image)
    edited = torch.rand(1, window.height, window.width, 3)
    result = composite(image, edited, region, 0, "none")
    changed = region.boxes[0].clip(size[1], size[0])
    assert torch.equal(result[changed.index], edited[changed.index])
    assert torch.equal(result[:, :, changed.right :], image[:, :, changed.right :])


def test_context_encodes_the_window_only(inpaint):
    vae = PoolingVAE()
    image = torch.rand(1, 1000, 1500, 3)
    region = inpaint(image, {"x": 700, "y": 500, "width": 40, "height": 40}, vae, context=256)[3]
    assert [tuple(pixels.shape) for pixels in vae.seen] == [(1, 256, 256, 3)] * 2
    assert torch.equal(vae.seen[0], image[region.window.index])


# Several boxes


def test_the_boxes_of_the_picker_have_texts_and_seeds_of_their_own(inpaint):
    drawn = [{**BOX, "text": "a dog", "seed": "18446744073709551615"}, {**BOX, "y": 0}]
    positive, _, latent, region, report, *_ = inpaint(torch.rand(1, 64, 64, 3), drawn, clip=WordCLIP())
    assert [values.get("text") for _, values in positive] == [None, "a dog"]
    assert region.boxes == (Box(16, 24, 24, 16), Box(16, 0, 24, 16))
    assert region.seeds == (2**64 - 1, None)
    assert torch.equal(latent["noise_mask"][:, 0], region.alpha)
    assert "box 1 (a dog): 24×16 px at (16, 24)" in report


def test_one_box_of_the_picker_may_have_a_text_too(inpaint):
    positive, _, _, region, *_ = inpaint(torch.rand(1, 64, 64, 3), {**BOX, "text": "a dog"}, clip=WordCLIP())
    assert [values.get("text") for _, values in positive] == [None, "a dog"]
    assert region.seeds == (None,)


def test_the_picker_is_told_of_the_picture_and_of_what_the_model_knows(inpaint_box):
    output = inpaint_box.execute(
        torch.rand(2, 40, 72, 3), PoolingVAE(4), BOX, **SETTINGS, model=family("sdxl").model
    )
    known = {"token": 4, "levels": 3, "model_side": 1024}
    assert output.ui["finesse_box"] == [{"width": 72, "height": 40, **known}]


def test_boxes_take_the_place_of_box(inpaint):
    region = inpaint(torch.rand(1, 64, 64, 3), {"x": 999, "y": 0, "width": 1, "height": 1}, boxes=[BOX])[3]
    assert region.boxes == (Box(16, 24, 24, 16),)


def test_elements_come_from_create_bounding_boxes(inpaint):
    from comfy_extras.nodes_bounding_boxes import CreateBoundingBoxes

    drawn = [{**BOX, "metadata": {"type": "obj", "text": "", "desc": "a dog", "palette": []}}]
    _, bboxes, made = CreateBoundingBoxes.execute(96, 64, drawn).args
    for boxes in (bboxes, made):
        region = inpaint(torch.rand(1, 64, 96, 3), boxes=boxes, clip=WordCLIP())[3]
        assert region.boxes == (Box(16, 24, 24, 16),)


@pytest.mark.parametrize("boxes", [None, FIVE])
def test_a_stock_sampler_samples_inside_the_boxes_only(inpaint, miniature, boxes, inpaint_box, composite):
    import nodes

    model, clip, vae = miniature
    image = torch.rand(1, 62, 64, 3)
    encoded = clip.encode_from_tokens_scheduled(clip.tokenize("grass"))
    positive, negative, latent, region, report, *_ = inpaint_box.execute(
        image, vae, BOX, **SETTINGS, positive=encoded, negative=encoded, boxes=boxes, clip=clip, model=model
    ).args
    assert "3 UNet levels (read from model)" in report
    samples = nodes.common_ksampler(model, 0, 2, 4.0, "euler", "normal", positive, negative, latent)[0][
        "samples"
    ]
    assert bool(torch.isfinite(samples).all())
    cells = F.max_pool2d(latent["noise_mask"], 4) > 0
    kept = ~cells.expand_as(samples)
    assert torch.allclose(samples[kept], latent["samples"][kept], atol=1e-5)
    assert not torch.allclose(samples[~kept], latent["samples"][~kept], atol=1e-2)
    result = composite(image, vae.decode(samples), region, 1, "ring")
    assert result.shape == image.shape


# Batches and channels


def test_batch_of_images_with_one_mask_or_one_each(inpaint, composite):
    image = torch.rand(3, 64, 64, 3)
    for masks in (1, 3):
        _, _, latent, region, *_ = inpaint(image, mask=torch.ones(masks, 64, 64))
        assert latent["samples"].shape[0] == 3
        assert latent["noise_mask"].shape[0] == masks
        result = composite(image, torch.rand(3, 64, 64, 3), region, 2, "ring")
        assert result.shape == image.shape


def test_alpha_is_dropped_for_the_vae_and_kept_in_the_result(inpaint, composite):
    vae, image = PoolingVAE(), torch.rand(1, 64, 64, 4)
    _, _, _, region, report, *_ = inpaint(image, vae=vae)
    assert "alpha channel" in report
    assert all(pixels.shape[-1] == 3 for pixels in vae.seen)
    result = composite(image, torch.rand(1, 64, 64, 3), region, 0, "none")
    assert torch.equal(result[..., 3], image[..., 3])


def test_a_mask_from_stock_blur_is_taken(inpaint):
    from comfy_extras.nodes_post_processing import Blur

    sharp = torch.zeros(1, 64, 64, 3)
    sharp[:, 8:56, 8:56] = 1
    mask = max((Blur.execute(sharp, radius, 1.0).args[0][..., 0] for radius in range(2, 12)), key=torch.max)
    assert mask.max() > 1  # by rounding
    alpha = inpaint(torch.rand(1, 64, 64, 3), mask=mask, snap=False)[3].alpha
    assert alpha.max() == 1
    inside = alpha > 0
    assert torch.equal(alpha[inside], mask.clamp(0, 1)[inside])


# What it says


def test_report_warns_of_less_than_a_cell_and_is_shown(inpaint_box):
    output = inpaint_box.execute(
        torch.rand(1, 512, 512, 3),
        PoolingVAE(),
        {**BOX, "width": 40, "height": 40},
        **SETTINGS,
    )
    report = output.args[4]
    assert "5×5, 2.5×2.5, 1.25×1.25, 0.625×0.625" in report
    assert "Warning: less than one cell at the lowest level" in report
    assert output.ui["text"] == (report,)


def test_report_tells_of_clipping_and_of_the_placeholder_mask(inpaint):
    box = {"x": -10, "y": 0, "width": 300, "height": 30}
    report = inpaint(torch.rand(1, 128, 128, 3), box, mask=torch.zeros(1, 64, 64))[4]
    assert "box reaches past the image and was clipped to 128×30 px at (0, 0)." in report
    assert "mask is Load Image's empty 64×64 placeholder and was ignored." in report


def test_report_reads_the_model(inpaint):
    image = torch.rand(1, 64, 64, 3)
    assert "4 UNet levels (as in SD1.x; link model" in inpaint(image)[4]
    model = family("sdxl").model
    report = inpaint(image, model=model, noise_mask=False)[4]
    assert "3 UNet levels (read from model)" in report
    assert "no inpainting model and noise_mask is off" in report
    assert "noise_mask is off" not in inpaint(image, model=model)[4]


@pytest.mark.parametrize("name", ["sd15-inpainting", "sdxl-inpainting", "flux-fill"])
def test_a_model_that_reads_the_mask_is_known_as_one(inpaint, name):
    report = inpaint(torch.rand(1, 64, 64, 3), model=family(name).model, noise_mask=False)[4]
    assert "no inpainting model" not in report


def test_the_pack_registers_its_nodes(comfy):
    from finesse.nodes import FinesseExtension

    ids = [node.define_schema().node_id for node in awaited(FinesseExtension().get_node_list())]
    assert ids == [
        "FinesseInpaintSmallBox",
        "FinesseCompositeBox",
        "FinesseLoadSOLoRA",
        "FinesseBoxNoise",
        "FinesseBoxesFromMask",
        "FinesseLoadFactor",
        "FinesseApplyFactor",
        "FinesseObjectsFromPrompt",
        "FinesseSelectSeedByRecall",
        "FinesseConvertPalette",
        "FinesseMapToMasks",
        "FinesseEditMap",
        "FinessePasteObject",
        "FinesseSegmentImage",
        "FinesseChainFactor",
        "FinesseSampleConditionMaps",
        "FinesseGetFactorMaps",
        "FinesseSegmentObject",
        "FinesseSplitEditPrompt",
        "FinesseReferenceBackground",
        "FinesseOptimiseLayers",
        "FinesseFineTuneLayers",
        "FinesseIterativeGuidance",
        "FinesseSaveLayeredEdit",
        "FinesseLoadLayeredEdit",
    ]
