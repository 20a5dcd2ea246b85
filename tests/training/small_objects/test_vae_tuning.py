"""The VAE's tuning on crops around small objects: what learns, what stays, and the file that comes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from finesse.core import files
from finesse.core.small_objects.losses import HUBER
from finesse.miniature.model import networks
from finesse.training import vae as tuning
from finesse.training.data.samples import read_shard, shards
from finesse.training.loop.batches import Draw
from finesse.training.small_objects.views import Views, crops_of


def test_every_crop_shows_its_whole_box_at_the_students_scale(small_objects):
    for sample in list(read_shard(shards(small_objects)[0]))[:8]:
        picture = np.asarray(sample.picture)
        for crop, thing in zip(crops_of(sample, Views(64, (32, 32))), sample.record.objects, strict=True):
            assert crop.shape == (3, 32, 32)
            found = crop.permute(1, 2, 0).numpy().astype(int)
            left, top, right, bottom = (round(64 * side) for side in thing.box)
            places = [
                (x, y)
                for x in range(max(0, right - 32), min(left, 32) + 1)
                for y in range(max(0, bottom - 32), min(top, 32) + 1)
                if abs(found - picture[y : y + 32, x : x + 32]).mean() < 12
            ]
            assert places


def test_the_loss_is_the_pseudo_huber_of_the_reconstruction():
    torch.manual_seed(0)
    vae = networks.build_vae(64).double()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    task = tuning.TuningTask(vae.float())
    found = task({"pixels": pixels}, Draw(0, 2, slice(0, 2), torch.device("cpu")))["huber"]
    with torch.no_grad():
        scaled = pixels.float() / 127.5 - 1
        error = (vae.decode(vae.encode(scaled).latent_dist.mean).sample - scaled).double()
    expected = ((error**2 + HUBER**2).sqrt() - HUBER).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("part", ["decoder", "whole"])
def test_only_the_chosen_part_learns(miniature, small_objects, tmp_path, part):
    settings = {
        "vae": miniature / "vae",
        "data": small_objects,
        "folder": tmp_path,
        "resolution": 64,
        "crop": 32,
        "part": part,
        "steps": 12,
        "batch_size": 8,
        "warmup_steps": 1,
        "learning_rate": 2e-3,
        "ema_decay": 0,
        "log_every": 1,
        "preview_every": 12,
        "held_out": 16,
        "validate_every": 6,
    }
    tuning.main([word for name, value in settings.items() for word in (f"--{name}", str(value))])
    log = [line["huber"] for line in map(files.json.loads, (tmp_path / "log.jsonl").read_text().splitlines())]
    assert np.mean(log[-3:]) < np.mean(log[:3])
    validated = list(map(files.json.loads, (tmp_path / "validation.jsonl").read_text().splitlines()))
    assert [line["step"] for line in validated] == [6, 12]
    assert validated[1]["huber"] < validated[0]["huber"]
    before = AutoencoderKL.from_pretrained(miniature / "vae").state_dict()
    after, header = files.read_tensors(tmp_path / "vae.safetensors")
    assert set(after) == set(before)
    assert files.json.loads(header["finesse.config"])["part"] == part
    changed = {name for name in after if not torch.equal(after[name], before[name].half())}
    assert any(name.startswith("decoder.") for name in changed)
    assert any(name.startswith("encoder.") for name in changed) == (part == "whole")
    assert (tmp_path / "previews" / "00000012.png").is_file()


def test_a_folder_without_a_vae_is_named(small_objects, tmp_path):
    with pytest.raises(ValueError, match=r"vae: '/nowhere' holds no config.json"):
        tuning.main(["--vae", "/nowhere", "--data", str(small_objects), "--folder", str(tmp_path)])
