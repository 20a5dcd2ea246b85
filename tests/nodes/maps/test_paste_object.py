"""*Paste Object* in this process, on ComfyUI's own modules."""

from __future__ import annotations

import pytest
import torch
from finesse.core.small_objects.boxes import Box
from finesse.miniature.model import networks
from finesse.tests.nodes.families import family
from finesse.tests.nodes.stand_ins import PoolingVAE

SETTINGS = {"grow": 0, "feather": 0, "colour_match": "none", "rim": 8, "context": 0}
HEIGHT, WIDTH = 62, 90  # no whole cells


@pytest.fixture(scope="module")
def paste(comfy):
    from finesse.nodes.maps.paste_object import PasteObject

    def run(original, generated, mask, vae=None, **settings):
        return PasteObject.execute(
            original, generated, mask, vae or PoolingVAE(), **{**SETTINGS, **settings}
        ).args

    return run


def pictures(batch=1, height=HEIGHT, width=WIDTH, seed=0):
    return torch.rand(batch, height, width, 3, generator=torch.Generator().manual_seed(seed))


def box_mask(box, batch=1, height=HEIGHT, width=WIDTH):
    mask = torch.zeros(batch, height, width)
    mask[box.index] = 1
    return mask


OBJECT = Box(30, 20, 17, 13)


def test_the_object_is_pasted_and_all_else_stays(paste):
    original, generated = pictures(), pictures(seed=1)
    image, _, _ = paste(original, generated, box_mask(OBJECT))
    expected = original.clone()
    expected[OBJECT.index] = generated[OBJECT.index]
    assert torch.equal(image, expected)


def test_a_mask_that_passes_1_by_rounding_is_as_good_as_1(paste):
    inputs = pictures(), pictures(seed=1)
    rounded, plain = (paste(*inputs, box_mask(OBJECT) * value)[0] for value in (1 + 2.4e-7, 1))
    assert torch.equal(rounded, plain)


def test_grow_pastes_more_and_feather_fades_inwards(paste):
    original, generated = torch.zeros(1, HEIGHT, WIDTH, 3), torch.ones(1, HEIGHT, WIDTH, 3)
    image = paste(original, generated, box_mask(OBJECT), grow=2, feather=3)[0][0, ..., 0]
    grown = OBJECT.grow(2)
    middle = image[26, grown.x - 1 : grown.x + 6]
    torch.testing.assert_close(middle, torch.tensor([0, 0.25, 0.5, 0.75, 1, 1, 1]))
    outside = box_mask(grown)[0] == 0
    assert not image[outside].any()


def test_the_latent_is_the_composite_and_its_mask_the_object_with_its_rim(paste):
    vae = PoolingVAE(4)
    image, latent, region = paste(pictures(), pictures(seed=1), box_mask(OBJECT), vae, grow=3, rim=6)
    assert torch.equal(vae.seen[0][:, :HEIGHT, :WIDTH], image)
    assert vae.seen[0].shape == (1, 64, 92, 3)
    assert latent["samples"].shape == (1, 3, 16, 23)
    expected = box_mask(OBJECT.grow(9).snap(4), height=64, width=92)
    assert torch.equal(latent["noise_mask"], expected[:, None])
    assert torch.equal(region.alpha, expected)
    assert region.boxes == (OBJECT.grow(9).snap(4),)


def test_context_encodes_only_the_objects_surroundings(paste):
    vae = PoolingVAE()
    original = pictures(height=400, width=600)
    mask = box_mask(Box(300, 200, 20, 20), height=400, width=600)
    image, latent, region = paste(original, pictures(height=400, width=600, seed=1), mask, vae, context=128)
    assert image.shape == original.shape
    assert (region.window.width, region.window.height) == (128, 128)
    assert torch.equal(vae.seen[0], image[region.window.index])
    assert latent["noise_mask"].shape == (1, 1, 128, 128)


def test_colours_are_matched_on_the_ring_around_the_object(paste):
    original = pictures() * 0.5
    generated = original + 0.3
    image, _, _ = paste(original, generated, box_mask(OBJECT), colour_match="ring")
    torch.testing.assert_close(image, original, rtol=0, atol=1e-2)
    assert (paste(original, generated, box_mask(OBJECT))[0] - original).max() > 0.29


def test_generated_image_and_mask_of_another_size_are_resized(paste):
    flat = torch.tensor([0.2, 0.5, 0.9]).expand(1, 128, 128, 3)
    small = box_mask(Box(16, 8, 16, 24), height=64, width=64)
    image, _, _ = paste(torch.zeros(1, 256, 256, 3), flat, small)
    inside = Box(64, 32, 64, 96).grow(-4)
    torch.testing.assert_close(image[inside.index], torch.zeros(1, 88, 56, 3) + flat[0, 0, 0])
    around = box_mask(Box(64, 32, 64, 96).grow(4), height=256, width=256) == 0
    assert not image[around].any()


@pytest.mark.parametrize(("generated", "masks"), [(3, 1), (1, 3), (3, 3)])
def test_one_original_takes_a_batch(paste, generated, masks):
    original, made = pictures(), pictures(generated, seed=1)
    places = [Box(4 + 20 * i, 10, 9, 9) for i in range(masks)]
    mask = torch.cat([box_mask(place) for place in places])
    image, latent, region = paste(original, made, mask)
    assert image.shape[0] == latent["samples"].shape[0] == 3
    assert latent["noise_mask"].shape[0] == region.alpha.shape[0] == masks
    for i in range(3):
        alone, _, _ = paste(original, made[i % generated][None], mask[i % masks][None])
        assert torch.equal(image[i], alone[0])


def test_a_fourth_channel_is_kept(paste):
    original = torch.cat([pictures(), torch.full((1, HEIGHT, WIDTH, 1), 0.5)], -1)
    image, latent, _ = paste(original, pictures(seed=1), box_mask(OBJECT))
    assert torch.equal(image[..., 3], original[..., 3])
    assert latent["samples"].shape[1] == 3


def test_the_inputs_stay_as_they_were(paste):
    given = pictures(), pictures(seed=1), box_mask(OBJECT)
    before = [value.clone() for value in given]
    paste(*given, grow=3, feather=2, colour_match="ring")
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


def test_a_stock_sampler_harmonises_and_composite_box_keeps_the_rest(paste, tmp_path, composite):
    from finesse.miniature.comfy.diffusers_folder import load_clip, load_unet, load_vae

    import nodes

    networks.random(tmp_path)
    model, clip, vae = load_unet(tmp_path, "unet"), load_clip(tmp_path), load_vae(tmp_path)
    cond = clip.encode_from_tokens_scheduled(clip.tokenize("grass"))
    original = pictures(height=64, width=64)
    mask = box_mask(Box(24, 24, 12, 12), height=64, width=64)
    image, latent, region = paste(original, pictures(seed=1, height=64, width=64), mask, vae, rim=4)

    def sampled(level):
        (out,) = nodes.common_ksampler(model, 0, 4, 4.0, "euler", "normal", cond, cond, latent, denoise=level)
        return out["samples"]

    kept = torch.nn.functional.max_pool2d(latent["noise_mask"], 4).expand(1, 4, 16, 16) == 0
    low, high = ((sampled(level) - latent["samples"]).abs() for level in (0.25, 1.0))
    assert low[kept].max() < 1e-5
    assert high[kept].max() < 1e-5
    assert high[~kept].mean() > low[~kept].mean() > 0.01

    edited = vae.decode(sampled(0.5))
    result = composite(original, edited, region, 2, "none")
    outside = region.alpha[0] == 0
    assert torch.equal(result[0][outside], original[0][outside])
    assert torch.equal(image[0][outside], original[0][outside])
    assert not torch.equal(result[0][~outside], original[0][~outside])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"generated": pictures(height=90, width=90)},
            "generated is 90×90 px but original is 90×62 px, which has other proportions; crop",
        ),
        ({"mask": torch.ones(1, 90, 62)}, "mask is 62×90 px but original is 90×62 px"),
        ({"mask": torch.zeros(1, 62, 90)}, "mask is empty; link the mask of an object"),
        (
            {"mask": torch.cat([box_mask(OBJECT), torch.zeros(1, 62, 90)])},
            "mask 2 of 2 is empty",
        ),
        ({"mask": box_mask(OBJECT) * 255}, "mask has values from 0 to 255; a mask lies between 0 and 1"),
        (
            {"original": pictures(2), "generated": pictures(3)},
            "do not pair up: 2 in original, 3 in generated, 1 in mask; give one",
        ),
        ({"original": pictures() / 0}, "original holds .* NaN or infinite"),
        ({"generated": pictures()[..., :2]}, "generated must be pictures"),
        (
            {"mask": torch.ones(1, HEIGHT, WIDTH), "colour_match": "ring"},
            "colour_match needs pixels around",
        ),
    ],
)
def test_bad_input_is_named(paste, given, said):
    values = {"original": pictures(), "generated": pictures(seed=1), "mask": box_mask(OBJECT), **given}
    with pytest.raises(ValueError, match=said):
        paste(**values)


def test_pictures_of_a_batch_stay_pictures_to_a_vae_for_video(paste):
    vae, original = family("qwen-image").vae, pictures(2)
    masks = torch.cat([box_mask(OBJECT), box_mask(Box(50, 8, 16, 16))])
    _, latent, region = paste(original, pictures(2, seed=1), masks, vae)
    assert latent["samples"].shape == (2, 16, 1, 8, 12)
    assert torch.equal(latent["noise_mask"], region.alpha[:, None, None])
    alone = paste(original[1:], pictures(2, seed=1)[1:], masks[1:], vae)[1]
    torch.testing.assert_close(latent["samples"][1:], alone["samples"])
