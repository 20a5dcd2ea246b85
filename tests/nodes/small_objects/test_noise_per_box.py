"""*Noise per Box* in this process, on ComfyUI's own modules."""

from __future__ import annotations

import pytest
import torch
from finesse.core.small_objects.boxes import Box
from finesse.core.small_objects.region import Region

LATENT = {"samples": torch.zeros(2, 4, 16, 16)}
BOXES = (Box(40, 24, 16, 16), Box(72, 64, 8, 24), Box(48, 32, 8, 8))  # the third lies on the first


@pytest.fixture
def noise_of(comfy):
    """The noise for a window at (32, 16) of a larger picture, with cells of 4 pixels."""
    from finesse.nodes.small_objects.noise_per_box import BoxNoise

    def make(seeds, noise_seed=5, latent=LATENT, drawn=()):
        region = Region(200, 100, Box(32, 16, 64, 64), BOXES[:2], torch.ones(1, 64, 64), 4, drawn)
        (noise,) = BoxNoise.execute(region, noise_seed, seeds).args
        return noise.generate_noise(latent)

    return make


def stock(seed, latent=LATENT):
    from comfy_extras.nodes_custom_sampler import Noise_RandomNoise

    return Noise_RandomNoise(seed).generate_noise(latent)


FIRST, SECOND = (..., slice(2, 6), slice(2, 6)), (..., slice(12, 16), slice(10, 12))


def test_without_seeds_it_is_random_noise(noise_of):
    for seeds in ("", " ", "-", "-, -"):
        assert torch.equal(noise_of(seeds), stock(5))


def test_a_box_has_the_noise_of_its_own_seed(noise_of):
    found = noise_of("7, 9")
    expected = stock(5)
    expected[FIRST], expected[SECOND] = stock(7)[FIRST], stock(9)[SECOND]
    assert torch.equal(found, expected)


def test_a_new_seed_changes_its_box_alone(noise_of):
    before, after = noise_of("7, 9"), noise_of("7, 10")
    changed = (before != after).any(dim=1)[0]
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[SECOND] = True
    assert torch.equal(changed, expected)


def test_a_dash_and_the_lists_end_leave_a_box_to_noise_seed(noise_of):
    expected = stock(5)
    expected[SECOND] = stock(9)[SECOND]
    assert torch.equal(noise_of("-,9"), expected)
    expected = stock(5)
    expected[FIRST] = stock(0)[FIRST]
    assert torch.equal(noise_of("0"), expected)


def test_a_seed_drawn_with_its_box_counts_where_none_is_typed(noise_of):
    typed = noise_of("7, 9")
    assert torch.equal(noise_of("", drawn=(7, 9)), typed)
    assert torch.equal(noise_of("-, 9", drawn=(7, 8)), typed)
    assert torch.equal(noise_of("7", drawn=(6, 9)), typed)
    assert torch.equal(noise_of("0", drawn=(7, None)), noise_of("0"))
    assert torch.equal(noise_of("", drawn=(None, None)), stock(5))


def test_of_overlapping_boxes_the_later_one_counts(comfy):
    from finesse.nodes.small_objects.noise_per_box import NoisePerBox

    region = Region(200, 100, Box(32, 16, 64, 64), BOXES, torch.ones(1, 64, 64), 4)
    found = NoisePerBox(region, 5, [7, None, 9]).generate_noise(LATENT)
    inner = (..., slice(4, 6), slice(4, 6))
    assert torch.equal(found[inner], stock(9)[inner])
    assert torch.equal(found[..., 2:4, 2:6], stock(7)[..., 2:4, 2:6])


def test_a_box_of_one_picture_has_its_seed_there_alone(comfy):
    from finesse.nodes.small_objects.noise_per_box import NoisePerBox

    window, alpha = Box(32, 16, 64, 64), torch.ones(2, 64, 64)
    region = Region(200, 100, window, BOXES[:2], alpha, 4, pictures=(1, None))
    expected = stock(5)
    expected[1][FIRST], expected[SECOND] = stock(7)[1][FIRST], stock(9)[SECOND]
    noise = NoisePerBox(region, 5, [7, 9])
    assert torch.equal(noise.generate_noise(LATENT), expected)
    one = {"samples": torch.zeros(1, 4, 16, 16), "batch_index": [1]}
    assert torch.equal(noise.generate_noise(one), expected[1:])
    twice = {"samples": torch.zeros(4, 4, 16, 16)}
    changed = (noise.generate_noise(twice) != stock(5, twice))[FIRST].flatten(1).any(1)
    assert changed.tolist() == [False, True, False, True]


def test_a_batch_index_is_followed(noise_of):
    latent = {"samples": torch.zeros(1, 4, 16, 16), "batch_index": [1]}
    assert torch.equal(noise_of("7, 9", latent=latent)[0], noise_of("7, 9")[1])


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("1, 2, 3", r"seeds has 3 entries \(1, 2, 3\), but there are 2 boxes"),
        ("1.5", r"seeds has '1\.5'; give whole numbers from 0 to 18446744073709551615, or - for none"),
        ("-3", r"seeds has '-3'"),
        ("18446744073709551616", r"seeds has '18446744073709551616'"),
        ("seven", r"seeds has 'seven'"),
    ],
)
def test_what_is_no_list_of_seeds_is_refused(noise_of, seeds, message):
    with pytest.raises(ValueError, match=message):
        noise_of(seeds)


def test_the_latent_of_another_window_is_refused(noise_of):
    with pytest.raises(ValueError, match="latent_image has 8×16 cells, but region's window has 16×16"):
        noise_of("7", latent={"samples": torch.zeros(1, 4, 16, 8)})
