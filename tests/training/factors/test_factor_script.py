"""The factor script on a miniature with random weights: maps in, factor file out, killed and shared."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from finesse.core.factors.adapter import TimestepAdapter
from finesse.core.factors.files import read_factor
from finesse.core.files import read_json, write_json
from finesse.miniature import map_set
from finesse.miniature.model import networks
from finesse.tests.training.scripts import start
from finesse.training import factor
from finesse.training.data.map_samples import read_maps
from finesse.training.data.samples import shards
from finesse.training.factors.examples import CAPTIONS, CachedMaps, prepare
from finesse.training.models import sampling
from finesse.training.models.base_model import PLAIN, load_base
from finesse.training.models.sampling import encode
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

STEPS = 3
SIDE = 16
SCENES = 12


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miniature")
    networks.random(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    map_set.write_shards(folder, "train", SCENES, SIDE)
    return folder / "train"


@pytest.fixture(scope="module")
def command(miniature, data):
    """The script's arguments for a run in a folder."""

    def arguments(folder, **settings):
        chosen = {
            "base": miniature,
            "data": data,
            "folder": folder,
            "resolution": SIDE,
            "steps": STEPS,
            "batch_size": 4,
            "distill_every": 2,
            "warmup_steps": 1,
            "learning_rate": 1e-2,
            "ema_decay": 0,
            "log_every": 1,
            "checkpoint_every": 1,
            "preview_every": 0,
        } | settings
        return [part for name, value in chosen.items() for part in (f"--{name}", str(value))]

    return arguments


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The folder of a run on one process that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    start("finesse.training.factor", command(folder, preview_every=STEPS), folder).finish()
    return folder


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def tensors(folder, condition="segmentation"):
    return read_factor(folder / f"{condition}.safetensors")[0].tensors()


def test_a_run_leaves_a_factor_a_log_and_a_preview(whole, miniature):
    learnt, info = read_factor(whole / "segmentation.safetensors")
    assert (learnt.kind, learnt.widths, learnt.time_width) == ("timestep", (64, 128, 128), 256)
    assert (info.condition, info.palette, info.parents) == ("segmentation", "miniature", ())
    assert info.base == f"Stable Diffusion ({miniature.name})"
    assert (info.trained["steps"], info.trained["batch_size"], info.trained["processes"]) == (STEPS, 4, 1)
    assert info.trained["min_snr"] == 0
    assert info.trained["data"] == "train"  # and not whose folder it lay in
    assert learnt.adapters[0].body[5].out_layers[3].weight.abs().max() > 0  # it was zero
    assert [("distil" in line) for line in log(whole)] == [True, False, True]
    assert Image.open(whole / "previews" / f"{STEPS:08}.png").size == (4 * SIDE, 2 * SIDE)


def test_two_processes_learn_what_one_learns(whole, command, tmp_path):
    start("finesse.training.factor", command(tmp_path), tmp_path, processes=2).finish()
    for one, other in zip(log(tmp_path), log(whole), strict=True):
        for name in ("denoise", "gradient_norm"):
            assert one[name] == pytest.approx(other[name], rel=1e-3)
    ours, theirs = tensors(tmp_path), tensors(whole)
    # Adam makes a whole step of a gradient near 0, whichever sign rounding gives it
    apart = torch.cat([(ours[key] - theirs[key]).float().abs().flatten() for key in theirs])
    assert (apart > 2e-3).float().mean() < 1e-2


def test_a_killed_run_goes_on_to_the_same_file(whole, command, tmp_path):
    given = "finesse.training.factor", command(tmp_path, preview_every=STEPS), tmp_path
    script = start(*given)
    deadline = time.monotonic() + 500
    while not list((tmp_path / "checkpoints").glob("step-*[12].safetensors")):
        assert script.running(), script.output()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    script.kill()
    assert not (tmp_path / "segmentation.safetensors").exists()
    start(*given).finish()
    ours, theirs = tensors(tmp_path), tensors(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.items())


def test_a_child_of_two_parents_leaves_other_files_alone(whole, command, monkeypatch):
    """In the folder of another factor's run: its own checkpoints would be in the way, so these are moved."""
    (whole / "checkpoints").rename(whole / "checkpoints-of-segmentation")
    before = (whole / "segmentation.safetensors").read_bytes()
    told = {"condition": "pose", "parents": "segmentation,depth", "preview_every": STEPS, "held_out": 4}
    sample, used = sampling.sample, []
    monkeypatch.setattr(
        sampling, "sample", lambda *args, **named: used.append(named["scheduler"]) or sample(*args, **named)
    )
    factor.main(command(whole, **told))
    learnt, info = read_factor(whole / "pose.safetensors")
    assert (len(learnt.adapters), info.parents, info.palette) == (2, ("segmentation", "depth"), "")
    assert (whole / "segmentation.safetensors").read_bytes() == before
    assert [scheduler.config.beta_end for scheduler in used] == [0.012]  # the base's own
    assert Image.open(whole / "previews" / f"{STEPS:08}.png").size == (4 * SIDE, 4 * SIDE)
    assert json.loads((whole / "validation.jsonl").read_text()).keys() == {"step", "denoise"}


def test_a_run_starts_from_a_file(whole, command, tmp_path):
    path = whole / "segmentation.safetensors"
    held_out = {"held_out": 5, "validate_every": 1}
    factor.main(command(tmp_path, start=path, steps=1, learning_rate=1e-9, weight_decay=0, **held_out))
    (validated,) = map(json.loads, (tmp_path / "validation.jsonl").read_text().splitlines())
    assert set(validated) == {"step", "denoise", "distil"}
    ours, theirs = tensors(tmp_path), tensors(whole)
    assert all(torch.equal(ours[key], tensor) for key, tensor in theirs.items())
    with pytest.raises(ValueError, match=r"start: .* reads no parents, but parents is depth; give the same"):
        factor.main(command(tmp_path, start=path, parents="depth"))


def test_a_dry_run_says_what_would_be_trained(command, miniature, tmp_path, capsys):
    factor.main([*command(tmp_path / "run", steps=20, parents="depth", held_out=4), "--dry_run"])
    told = capsys.readouterr().out
    size = sum(p.numel() for p in TimestepAdapter((64, 128, 128), 256).parameters())
    assert f"segmentation factor, 1 timestep adapter(s) on Stable Diffusion ({miniature.name})" in told
    assert f"{size / 1e6:.1f} M learnt" in told
    pictures = f"{SCENES} pictures, 4 of them held out"
    assert f"1 shards, {pictures}; 20 steps of 4 on 1 processes are 10.0 epochs" in told
    assert not (tmp_path / "run").exists()


def test_bench_prints_speed_and_memory(command, tmp_path, capsys):
    factor.main(command(tmp_path, bench=1))
    told = json.loads(capsys.readouterr().out)
    assert told["pictures_per_second"] > 0
    assert not (tmp_path / "log.jsonl").exists()


def test_a_config_file_sets_what_the_command_line_does_not(command, tmp_path, capsys):
    path = tmp_path / "factor.yaml"
    path.write_text("condition: sketch\nkind: plain\nsteps: 7\n")
    factor.main([*command(tmp_path), "--config", str(path), "--dry_run"])
    told = capsys.readouterr().out
    assert "sketch factor, 1 plain adapter(s)" in told
    assert f"{STEPS} steps" in told


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "/nowhere/train"}, "data: there is no /nowhere/train.json"),
        (
            {"condition": "edges"},
            "data: .* has no edges maps, only segmentation, depth, normal, sketch, pose",
        ),
        ({"parents": "edges"}, "has no edges maps"),
        ({"condition": "pose", "parents": "pose"}, "parents of the pose factor are .* each once"),
        ({"base": "/nowhere"}, "base: /nowhere has no unet, vae, scheduler"),
        ({"unet": "unet_inpainting"}, "base: the UNet in .* reads 9 channels; give a plain"),
        ({"kind": "big"}, "kind: got 'big'"),
        ({"distill_every": 0}, "distill_every is 0; give at least 1"),
        ({"min_snr": -1}, "min_snr is -1.0; give 0 for no weights, or a gamma"),
        ({"batch_size": 3, "accumulate": 2}, "batch_size 3 does not split into 2"),
    ],
)
def test_bad_settings_are_named(command, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        factor.main(command(tmp_path, **settings))


def test_the_task_weighs_timesteps_as_the_settings_say(miniature):
    base = load_base(miniature, channels=PLAIN)
    texts = SimpleNamespace(texts={"context": torch.zeros(1, 5, 8)})
    for chosen, gamma in (({}, 0), ({"min_snr": 5.0}, 5)):
        config = factor.FactorConfig(base=str(miniature), **chosen)
        task = factor.build_task(config, base, factor.build_unet(config, base, 0), texts)
        weights = torch.stack([task.loss(torch.ones(1, 4, 2, 2), torch.tensor([t])) for t in (10, 900)])
        assert (weights[0] < weights[1]) == bool(gamma)
        assert weights[1] == 1


@torch.no_grad()
def test_maps_are_encoded_once_and_read_in_any_order(miniature, data, tmp_path):
    base, conditions = load_base(miniature, channels=PLAIN), ["pose", "segmentation", "depth"]
    prepare(shards(data), base, conditions, tmp_path, Accelerator(cpu=True))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    examples, texts = prepare(shards(data), base, conditions, tmp_path, Accelerator(cpu=True))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    batches = CachedMaps(examples, texts, conditions, SCENES, torch.device("cpu"))
    batch = batches(5, slice(0, SCENES))
    samples = list(read_maps(shards(data)[0], conditions))
    for row, (_, place) in enumerate(batches.rows.places(5, slice(0, SCENES))):
        pixels = {name: pil_to_tensor(picture)[None] / 255 for name, picture in samples[place].maps.items()}
        found = [batch["latents"][row], *batch["parents"][row]]
        for latent, condition in zip(found, conditions, strict=True):
            torch.testing.assert_close(
                latent.float(), encode(base.vae, pixels[condition])[0], rtol=0, atol=2e-2
            )
        contexts = base.embed([*samples[place].captions]).context
        assert (contexts - batch["context"][row]).abs().flatten(1).amax(dim=1).min() < 2e-3
    some = batches(5, slice(4, 8))
    assert all(torch.equal(some[name], batch[name][4:8]) for name in batch)
    assert len({row.sum().item() for row in batch["context"]}) > 1
    assert examples[0]["text"].shape == (SCENES, CAPTIONS)
    assert batches.describe(5).startswith("maps of 0000")


def test_maps_that_no_sample_has_are_named(miniature, data, tmp_path):
    listed = read_json(f"{data}.json")
    write_json(tmp_path / "train.json", listed | {"conditions": ["edges"]})
    (tmp_path / listed["shards"][0]["file"]).write_bytes(shards(data)[0].read_bytes())
    base = load_base(miniature, channels=PLAIN)
    with pytest.raises(ValueError, match=r"data: .* has no sample with edges; make it again"):
        prepare(shards(tmp_path / "train"), base, ["edges"], tmp_path, Accelerator(cpu=True))
