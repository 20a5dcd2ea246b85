"""*Inpaint Small Box* with the models that people use: latents, batches, and what each model is given."""

import pytest
import torch
import torch.nn.functional as F
from finesse.core.small_objects.boxes import Box
from finesse.tests.nodes.families import KINDS, family
from finesse.tests.nodes.stand_ins import WordCLIP

PIXELS = (1, 96, 128, 3)
BOX = {"x": 32, "y": 16, "width": 32, "height": 48}
VIDEO = ("qwen-image", "qwen-image-edit")
MASKED = ("sd15-inpainting", "sdxl-inpainting", "flux-fill")
SHOWN = ("sd15-instructpix2pix", "flux-canny")  # read a picture, but no mask


class WideCLIP(WordCLIP):
    """Stands for a family's text encoder: the same numbers for the same text."""

    def __init__(self, made):
        self.made = made

    def encode_from_tokens_scheduled(self, tokens):
        return self.made.text(len(tokens))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_family_samples_in_the_box_and_nothing_else_changes(edit_with, composite, name, scaled):
    made, image = family(name), torch.rand(PIXELS)
    scale = {"scale": "side", "side": 192} if scaled else {"scale": "none"}
    positive, negative, latent, region, *_ = edit_with(made, image, BOX, context=64, scale=scale)
    samples = made.sample(positive, negative, latent)
    assert bool(torch.isfinite(samples).all())
    kept = (F.max_pool2d(latent["noise_mask"], region.cell) == 0).expand(1, samples.shape[1], -1, -1)
    before, after = (value.reshape(kept.shape) for value in (latent["samples"], samples))
    torch.testing.assert_close(after[kept], before[kept], rtol=0, atol=1e-5)
    assert (after - before)[~kept].abs().mean() > 0.1
    assert bool(region.scaled) == scaled
    result = composite(image, made.decode(samples), region, 2, "ring")
    inside = torch.zeros(PIXELS[:3], dtype=torch.bool)
    inside[region.boxes[0].index] = True
    assert torch.equal(result[~inside], image[~inside])
    assert not torch.equal(result[inside], image[inside])


@pytest.mark.parametrize("name", ["flux-fill", "qwen-image", "sd35"])
def test_pictures_of_a_batch_are_edited_as_each_alone(edit_with, name):
    """To a model of video a batch of two is two pictures, too, with masks and texts for each."""
    made, images = family(name), torch.rand(2, *PIXELS[1:])
    masks = torch.zeros(2, *PIXELS[1:3])
    masks[0, 16:40, 32:64] = masks[1, 40:64, 32:56] = 1
    boxes = [{**BOX, "text": "a dog"}, {"x": 0, "y": 64, "width": 64, "height": 32}]
    masks[:, 64:] = 1
    clip = WideCLIP(made)
    latents = [edit_with(made, images, boxes, mask=masks, clip=clip)]
    latents += [edit_with(made, images[i : i + 1], boxes, mask=masks[i : i + 1], clip=clip) for i in range(2)]
    together, *alone = (made_latent for _, _, made_latent, *_ in latents)
    assert together["samples"].shape == (2, *alone[0]["samples"].shape[1:])
    torch.testing.assert_close(together["samples"], torch.cat([one["samples"] for one in alone]))
    noise = torch.randn(together["samples"].shape, generator=torch.Generator().manual_seed(0))
    parts = [noise, noise[:1], noise[1:]]
    sampled = [made.sample(*output[:3], part) for output, part in zip(latents, parts, strict=True)]
    torch.testing.assert_close(sampled[0], torch.cat(sampled[1:]), rtol=0, atol=1e-3)
    assert made.decode(sampled[0]).shape == images.shape


@pytest.mark.parametrize("name", VIDEO)
def test_one_picture_keeps_the_mask_that_other_nodes_know(edit_with, name):
    made = family(name)
    positive, _, latent, *_ = edit_with(made, torch.rand(2, *PIXELS[1:]), BOX)
    assert latent["samples"].shape == (2, 16, 1, 12, 16)
    assert latent["noise_mask"].shape == positive[0][1]["concat_mask"].shape == (1, 1, 96, 128)


class CountedVAE:
    """A VAE that takes down what it encodes."""

    def __init__(self, vae):
        self._vae, self.seen = vae, []

    def __getattr__(self, name):
        return getattr(self._vae, name)

    def encode(self, pixels):
        self.seen.append(pixels)
        return self._vae.encode(pixels)


@pytest.mark.parametrize("name", KINDS)
def test_a_picture_is_encoded_for_a_model_that_reads_it_only(edit_with, name):
    made, image = family(name), torch.rand(PIXELS)
    vae = CountedVAE(made.vae)
    positive, _, latent, *_ = edit_with(made, image, BOX, vae=vae)
    assert len(vae.seen) == (2 if name in MASKED else 1)
    given = positive[0][1]
    assert "concat_mask" in given
    assert ("concat_latent_image" in given) == (name in (*MASKED, *SHOWN))
    if name in SHOWN:  # told by words what to change, InstructPix2Pix must see it
        assert torch.equal(given["concat_latent_image"], latent["samples"])
    if name in MASKED:
        assert (vae.seen[1][Box(32, 16, 32, 48).index] == 0.5).all()


def test_without_a_model_any_is_served(edit_with):
    made = family("flux")
    positive, *_ = edit_with(made, torch.rand(PIXELS), BOX, model=None)
    assert positive[0][1]["concat_latent_image"].shape == (1, 16, 12, 16)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_control_picture_that_a_model_reads_beside_its_latent_stays(edit_with, scaled):
    """As core's InstructPixToPixConditioning gives it to Flux's Canny and Depth models."""
    from comfy_extras.nodes_ip2p import InstructPixToPixConditioning

    made = family("flux-canny")
    control = torch.zeros(PIXELS)
    control[:, 32:64, 48:80] = 1
    prompts = InstructPixToPixConditioning.execute(made.text(1), made.text(2), control, made.vae).args
    whole = prompts[0][0][1]["concat_latent_image"]
    scale = {"scale": "side", "side": 128} if scaled else {"scale": "none"}
    given = {"positive": prompts[0], "negative": prompts[1], "context": 64, "scale": scale}
    positive, negative, latent, region, *_ = edit_with(made, torch.rand(PIXELS), BOX, **given)
    window, samples = region.window, latent["samples"]
    assert bool(region.scaled) == scaled
    # a window off the grid is cut out of the picture's pixels, to which the latent is stretched
    step = 1 if scaled else 8
    stretched = F.interpolate(whole, PIXELS[1:3], mode="bilinear") if scaled else whole
    rows, columns = (
        slice(start // step, end // step)
        for start, end in ((window.y, window.bottom), (window.x, window.right))
    )
    expected = F.interpolate(stretched[..., rows, columns], samples.shape[-2:], mode="bilinear")
    for prompt in (positive, negative):
        seen = made.model.model.concat_cond(noise=samples, device=samples.device, **prompt[0][1])
        seen = made.model.model.latent_format.process_out(seen)
        torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
