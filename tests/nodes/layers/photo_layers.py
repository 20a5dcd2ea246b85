"""A photo in layers, and how the tests let nodes learn it."""

from __future__ import annotations

import torch
from finesse.tests.nodes.factors.small_factors import latents, prompts, sample
from finesse.tests.nodes.maps.running import run

HEIGHT, WIDTH = 34, 29  # no multiples of the VAE's 4
OBJECT, BACKGROUND = prompts(seed=2), prompts(seed=3)


def picture(seed=0, height=HEIGHT, width=WIDTH):
    return torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(seed))


def square(height=HEIGHT, width=WIDTH):
    mask = torch.zeros(1, height, width)
    mask[:, 6:20, 7:19] = 1
    return mask


def pictures():
    return {"image": picture(0), "mask": square(), "reference": picture(1)}


def optimise(model, vae, **inputs):
    """Optimise Layers as ComfyUI runs it."""
    from finesse.nodes.layers.optimise_layers import OptimiseLayers

    given = {"model": model, "vae": vae, "object": OBJECT, "background": BACKGROUND, **pictures(), "steps": 3}
    with torch.inference_mode():
        return run(OptimiseLayers, **given | inputs)


def fine_tune(model, vae, **inputs):
    """Fine-Tune Layers as ComfyUI runs it."""
    from finesse.nodes.layers.fine_tune_layers import FineTuneLayers

    given = {"model": model, "vae": vae, "positive": OBJECT, **pictures(), "weights": "low-rank", "steps": 3}
    with torch.inference_mode():
        return run(FineTuneLayers, **given | inputs)


def as_layers(model, vae, image, mask, reference):
    """The layers by other means: padded by repetition to whole cells, and scaled."""
    from finesse.core.layers.losses import split_layers

    def padded(values):
        return values[:, [*range(HEIGHT), *[HEIGHT - 1] * 2]][:, :, [*range(WIDTH), *[WIDTH - 1] * 3]]

    scale = model.model.latent_format.scale_factor
    encoded = [vae.encode(padded(pixels)) * scale for pixels in (image, reference)]
    return split_layers(*encoded, padded(mask)[0])


def pixels(model):
    """What a stock sampler makes with the model."""
    with torch.inference_mode():
        return sample(model, latents(1, side=8), prompts(seed=2), cfg=3.0, steps=2)


def watched(model, at, do):
    """The model, and a list of its calls; in call number `at`, counted from 1, `do` is called.

    If that gives a number, the prediction is multiplied by it.
    """
    from comfy.patcher_extension import WrappersMP

    calls = []

    def watch(executor, *args, **kwargs):
        calls.append(len(calls) + 1)
        factor = do() if len(calls) == at else None
        predicted = executor(*args, **kwargs)
        return predicted if factor is None else predicted * factor

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "watch", watch)
    return clone, calls
