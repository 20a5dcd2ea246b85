"""What a base is refused for, and that its own noise schedule is trained and sampled with."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from finesse.core.files import read_json, write_json
from finesse.core.schedule import NoiseSchedule
from finesse.miniature.model import networks
from finesse.training import factor, make_dataset, so_lora
from finesse.training.models import sampling
from finesse.training.models.base_model import PLAIN, load_base

LINEAR = {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miniature")
    networks.random(folder)
    return folder


@pytest.fixture
def base(miniature, tmp_path):
    """A copy of the miniature with other values in the config of one part."""

    def changed(part, **values):
        folder = shutil.copytree(miniature, tmp_path / "base")
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        write_json(folder / part / name, read_json(folder / part / name) | values)
        return folder

    return changed


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("scheduler", {"prediction_type": "v_prediction"}, "predicts v_prediction; give a model that"),
        ("scheduler", {"prediction_type": "sample"}, "predicts sample; give a model that predicts noise"),
        ("scheduler", {"rescale_betas_zero_snr": True}, "ends in noise without any signal"),
        ("unet", {"time_cond_proj_dim": 256}, "is distilled: its UNet reads the guidance"),
        ("vae", {"latents_mean": [0.1, 0.2, 0.3, 0.4]}, "has a VAE whose latents are shifted"),
        ("vae", {"shift_factor": 0.1}, "has a VAE whose latents are shifted"),
    ],
)
def test_a_base_that_would_train_wrongly_is_refused(base, part, values, message):
    with pytest.raises(ValueError, match=f"base: .*{message}"):
        load_base(base(part, **values), channels=PLAIN)


def test_a_scheduler_without_betas_is_refused(base):
    folder = base("scheduler")
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    with pytest.raises(ValueError, match="no betas in its scheduler, FlowMatchEulerDiscreteScheduler; give"):
        load_base(folder, channels=PLAIN)


def test_every_script_refuses_it(base, tmp_path):
    listed = {"conditions": ["segmentation"], "palette": "coco-stuff", "shards": [], "pictures": {"kept": 0}}
    write_json(tmp_path / "train.json", listed)
    (tmp_path / "prompts.txt").write_text("a dog")
    folder, data = base("scheduler", prediction_type="v_prediction"), tmp_path / "train"
    made_by = {"factors": networks.WEIGHTS / "factors" / "segmentation.safetensors", "palette": "coco-stuff"}
    for script, settings in (
        (so_lora, {"unet": "unet_inpainting", "data": data}),
        (factor, {"data": data}),
        (make_dataset, {"prompts": tmp_path / "prompts.txt", **made_by}),
    ):
        given = {"base": folder, **settings}
        with pytest.raises(ValueError, match="predicts v_prediction"):
            script.main([word for name, value in given.items() for word in (f"--{name}", str(value))])


def test_the_schedule_is_the_base_s_own(base):
    found = load_base(base("scheduler", **LINEAR), channels=PLAIN).schedule
    expected = DDPMScheduler(**LINEAR).alphas_cumprod
    assert torch.equal(found.alphas_cumprod, expected)
    assert not torch.allclose(expected, NoiseSchedule.scaled_linear().alphas_cumprod, atol=0.01)


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("betas", [{}, LINEAR])
def test_sampling_follows_the_scheduler_s_betas_and_prediction(predicts, betas):
    """A UNet that knows the clean latents leads to them from any noise, and only by its own schedule."""
    settings = {"prediction_type": predicts, **betas}
    scheduler = DDPMScheduler.from_config(sampling.build_scheduler().config, **settings)
    schedule = NoiseSchedule(scheduler.alphas_cumprod)
    clean, noise = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 4, 4)

    def unet(latents, timestep, context, added_cond_kwargs=None):
        alpha, sigma = schedule.alpha_sigma(timestep.long().expand(len(latents)), latents)
        both = clean.repeat(2, 1, 1, 1)
        eps = (latents - alpha * both) / sigma
        answers = {"epsilon": eps, "v_prediction": alpha * eps - sigma * both, "sample": both}
        return SimpleNamespace(sample=answers[predicts])

    def error(**settings):
        texts, empty = torch.zeros(2, 3, 5), torch.zeros(3, 5)
        return (sampling.sample(unet, texts, empty, noise, steps=8, **settings) - clean).abs().max()

    assert error(scheduler=scheduler) < 1e-3
    if betas or predicts != "epsilon":
        assert error() > 0.1
