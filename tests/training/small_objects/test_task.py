"""SO-LoRA's training: its losses on a real UNet, what learns, and that the teacher does not."""

from __future__ import annotations

import pytest
import torch
from finesse.core.schedule import NoiseSchedule
from finesse.core.small_objects.losses import denoise_loss
from finesse.miniature.model import networks
from finesse.training.loop.batches import Draw, ShuffledRows
from finesse.training.loop.config import TrainConfig
from finesse.training.loop.trainer import train
from finesse.training.models.lora import add_lora
from finesse.training.small_objects.task import SmallObjectTask

SCHEDULE = NoiseSchedule.scaled_linear()
CPU = torch.device("cpu")


def examples(rows):
    torch.manual_seed(2)
    batch = {"context": torch.randn(rows, 6, networks.TEXT_WIDTH)}
    for view, low, high in (("", 6, 8), ("near_", 5, 9)):
        mask = torch.zeros(rows, 1, 16, 16)
        mask[:, :, low:high, low:high] = 1
        batch[view + "mask"] = mask
        batch[view + "box"] = torch.tensor([[low, low, high, high]] * rows)
        batch[view + "latents"], batch[view + "masked_latents"] = torch.randn(2, rows, 4, 16, 16).unbind()
    return batch


def task(**options):
    torch.manual_seed(3)
    unet = networks.build_unet(9)
    add_lora(unet, 4)
    return SmallObjectTask(unet, SCHEDULE, torch.zeros(6, networks.TEXT_WIDTH), text_dropout=0.0, **options)


def draw(rows):
    return Draw(5, rows, slice(0, rows), CPU)


def test_losses_are_those_of_the_formulas():
    """Untrained, student and teacher are one; L_denoise is that of the UNet's own prediction."""
    batch, learner = examples(3), task()
    losses = learner(batch, draw(3))
    numbers = draw(3)
    timestep = torch.arange(1, 1000, 20)[numbers.timesteps(50)]
    numbers.uniform()
    noise = numbers.normal(4, 16, 16)
    inputs = [SCHEDULE.add_noise(batch["latents"], noise, timestep), batch["mask"], batch["masked_latents"]]
    with torch.no_grad():
        predicted = learner.unet(torch.cat(inputs, dim=1), timestep, batch["context"]).sample
    expected = denoise_loss(predicted, noise, batch["mask"]).mean()
    torch.testing.assert_close(losses["denoise"], expected, rtol=1e-5, atol=1e-7)
    assert 0 < losses["csd"].item() < losses["denoise"].item()


def test_where_both_see_the_same_there_is_nothing_to_distil():
    class Still(Draw):
        def normal(self, *shape):
            return torch.ones(3, *shape)

    batch = examples(3)
    same = batch | {f"near_{name}": batch[name] for name in ("latents", "mask", "masked_latents", "box")}
    assert task()(same, Still(5, 3, slice(0, 3), CPU))["csd"].item() < 1e-7


@pytest.mark.parametrize(("weight", "parts"), [(0.0, {"denoise"}), (0.01, {"denoise", "csd"})])
def test_the_ablation_switches_the_distillation(weight, parts):
    assert set(task(csd_weight=weight)(examples(2), draw(2))) == parts


def test_only_the_adapters_learn_and_the_teacher_stays(tmp_path):
    learner, batch = task(), examples(4)
    inputs = torch.randn(1, 9, 16, 16), torch.tensor(300), batch["context"][:1]

    def teacher():
        with torch.no_grad(), learner.teacher():
            return learner.unet(*inputs).sample

    before = teacher()
    frozen = {k: v.clone() for k, v in learner.unet.state_dict().items() if "lora" not in k}
    config = TrainConfig(steps=30, batch_size=4, warmup_steps=1, learning_rate=1e-2, ema_decay=0.0)
    with torch.no_grad():
        first = learner(batch, draw(4))["denoise"].item()
    train(learner, ShuffledRows(batch, 4), config, tmp_path)
    with torch.no_grad():
        assert learner(batch, draw(4))["denoise"].item() < 0.96 * first
    assert torch.equal(teacher(), before)
    assert all(torch.equal(v, frozen[k]) for k, v in learner.unet.state_dict().items() if k in frozen)
