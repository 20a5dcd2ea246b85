"""*Reference Background* in this process: drawn, kept without the object, or given."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from finesse.miniature.model import networks
from finesse.tests.nodes.factors.small_factors import prompts
from finesse.tests.nodes.families import family
from finesse.tests.nodes.layers.photo_layers import BACKGROUND, HEIGHT, WIDTH, picture, square
from finesse.tests.nodes.maps.running import run

NEGATIVE = prompts(seed=9)
SETTINGS = {"steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "seed": 4}


@pytest.fixture(scope="session")
def inpainting(factor_control):
    from finesse.miniature.comfy import diffusers_folder

    return diffusers_folder.load_unet(networks.WEIGHTS, "unet_inpainting")


@pytest.fixture
def make(model, vae):
    from finesse.nodes.layers.reference_background import ReferenceBackground

    def call(model=model, **inputs):
        given = {"model": model, "vae": vae, "image": picture(), "mask": square(), **SETTINGS}
        with torch.inference_mode():
            node = {"positive": BACKGROUND, "negative": NEGATIVE, **given, **inputs}
            return run(ReferenceBackground, **node).reference

    return call


@pytest.fixture
def stock(model, vae):
    """KSampler and VAE Decode of core."""

    def draw(latent, positive=BACKGROUND, negative=NEGATIVE, model=model, **options):
        import comfy.sample

        seed, steps, cfg = SETTINGS["seed"], SETTINGS["steps"], SETTINGS["cfg"]
        noise = comfy.sample.prepare_noise(latent, seed)
        prompt = (positive, negative, latent)
        settings = {"seed": seed, "disable_pbar": True, **options}
        with torch.inference_mode():
            samples = comfy.sample.sample(model, noise, steps, cfg, "euler", "normal", *prompt, **settings)
            return vae.decode(samples)

    return draw


def test_a_new_background_is_what_a_stock_sampler_draws(make, stock):
    found = make(source="draw")
    assert found.shape == (1, HEIGHT, WIDTH, 3)
    assert torch.equal(found, stock(torch.zeros(1, 4, 9, 8))[:, :HEIGHT, :WIDTH])
    assert torch.equal(make(source="draw", mask=square().flip(1)), found)
    assert not torch.equal(make(source="draw", seed=5), found)


def test_an_inpainting_model_draws_a_whole_background_too(make, inpainting, stock):
    found = make(inpainting, source="draw")
    assert torch.equal(found, stock(torch.zeros(1, 4, 9, 8), model=inpainting)[:, :HEIGHT, :WIDTH])


@pytest.mark.parametrize("source", ["draw", "keep"])
@pytest.mark.parametrize("name", ["flux-fill", "qwen-image"])
def test_other_families_draw_a_background_too(make, name, source):
    made, photo = family(name), torch.rand(1, 96, 64, 3)
    mask = torch.zeros(1, 96, 64)
    mask[:, 30:60, 20:40] = 1
    texts = {"positive": made.text(1), "negative": made.text(2)}
    found = make(made.model, vae=made.vae, image=photo, mask=mask, source=source, **texts)
    assert found.shape == photo.shape
    assert not torch.equal(found, photo)


@pytest.mark.parametrize("kind", ["plain", "inpainting"])
def test_what_lies_away_from_the_object_stays_the_photo(make, inpainting, model, kind):
    photo = picture()
    found = make(inpainting if kind == "inpainting" else model, source="keep")
    changed = (found != photo).any(-1)[0]
    grown = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    grown[0:24, 0:24] = True  # the object at rows 6 to 20 and columns 7 to 19, 4 more, to whole cells
    assert not changed[~grown].any()
    assert changed[6:20, 7:19].all()
    assert changed[1:23, 4:23].float().mean() > 0.95


@pytest.mark.parametrize("kind", ["plain", "inpainting"])
def test_of_the_object_nothing_is_seen(make, inpainting, model, kind):
    chosen = inpainting if kind == "inpainting" else model
    other = picture()
    other[:, 6:20, 7:19] = 1 - other[:, 6:20, 7:19]
    assert torch.equal(make(chosen, source="keep"), make(chosen, source="keep", image=other))


def test_an_inpainting_model_is_told_what_is_missing(make, inpainting, vae):
    from comfy.patcher_extension import WrappersMP

    seen = []

    def watch(executor, x, t, c_concat, *args, **kwargs):
        seen.append(c_concat)
        return executor(x, t, c_concat, *args, **kwargs)

    watched = inpainting.clone()
    watched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "watch", watch)
    make(watched, source="keep")
    hole = torch.zeros(9, 8)
    hole[:6, :6] = 1  # cells
    assert torch.equal(seen[0][0, 0], hole)
    photo = picture()[:, [*range(HEIGHT), *[HEIGHT - 1] * 2]][:, :, [*range(WIDTH), *[WIDTH - 1] * 3]]
    photo[:, :24, :24] = 0.5
    masked = vae.encode(photo) * inpainting.model.latent_format.scale_factor
    torch.testing.assert_close(seen[0][:1, 1:], masked)


def test_a_given_background_is_cropped_at_its_middle_and_resized(make):
    wide = picture(3, HEIGHT * 2, WIDTH * 4)
    found = make(background=wide)
    middle = wide[:, :, WIDTH : WIDTH * 3].movedim(-1, 1)
    expected = F.interpolate(middle, (HEIGHT, WIDTH), mode="bilinear", antialias=True).movedim(1, -1)
    torch.testing.assert_close(found, expected)
    tall = picture(3, HEIGHT * 3, WIDTH)
    assert torch.equal(make(background=tall), tall[:, HEIGHT : 2 * HEIGHT])
    assert torch.equal(make(background=picture(5)), picture(5))
    assert make(background=picture(5, 3, 200)).shape == (1, HEIGHT, WIDTH, 3)


def test_with_a_background_given_nothing_is_sampled(make):
    assert torch.equal(make(model=None, vae=None, background=picture(5)), picture(5))


def test_a_photo_with_alpha_gets_a_reference_without(make):
    photo = torch.cat([picture(), torch.ones(1, HEIGHT, WIDTH, 1)], -1)
    for source in ("draw", "keep"):
        assert torch.equal(make(image=photo, source=source), make(source=source))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": picture().repeat(2, 1, 1, 1)}, "image holds 2 pictures; link one"),
        ({"background": picture().repeat(3, 1, 1, 1)}, "background holds 3 pictures; link one"),
        ({"background": picture() / 0}, "background holds 2958 values that are NaN or infinite"),
        ({"mask": torch.zeros(1, HEIGHT, WIDTH)}, r"mask is empty \(0 everywhere\): paint the object"),
        ({"mask": torch.ones(1, 20, 20)}, "mask is 20×20 px but image is 29×34 px"),
        (
            {"mask": torch.ones(1, HEIGHT, WIDTH), "source": "keep"},
            "mask and the 4 px around it leave no part of the photo to keep; choose draw as source",
        ),
    ],
)
def test_unfit_pictures_are_refused(make, inputs, message):
    with pytest.raises(ValueError, match=message):
        make(**inputs)
