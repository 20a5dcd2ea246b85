"""SO-LoRA's script on a miniature with random weights: data in, LoRA file out, killed, shared and resumed."""

from __future__ import annotations

import json
import time
from io import BytesIO
from itertools import chain

import pytest
import torch
from finesse.core import files
from finesse.core.lora_files import read_lora
from finesse.miniature.model import networks
from finesse.miniature.world.scenes import scene
from finesse.tests.training.scripts import start
from finesse.training import so_lora
from finesse.training.data.samples import Sample, SampleRecord, SmallObject, prompts, shards, write_shard
from finesse.training.models import lora
from finesse.training.small_objects.examples import CachedExamples, prepare
from finesse.training.small_objects.views import Views, squares, views_of
from PIL import Image

STEPS = 6


def sample(seed, objects=None):
    """A scene of the miniature, twice as wide as high, as the curated data holds it."""
    drawn = scene(seed, 64)
    picture = Image.new("RGB", (128, 64), "white")
    picture.paste(Image.fromarray(drawn.image), (32, 0))
    boxes = objects or [(36 / 128, 10 / 64, 44 / 128, 18 / 64), (80 / 128, 30 / 64, 86 / 128, 36 / 64)]
    kinds = (("dog", "brown"), ("umbrella", None))
    things = tuple(SmallObject(*kind[:1], box, kind[1]) for kind, box in zip(kinds, boxes, strict=False))
    data = BytesIO()
    picture.save(data, "PNG")
    return Sample(SampleRecord("made", f"{seed:04}", 128, 64, things), data.getvalue(), picture)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    names = [f"train-{shard:06}.tar" for shard in range(2)]
    for shard, name in enumerate(names):
        write_shard(folder / name, [sample(5 * shard + i) for i in range(5)])
    listed = [{"file": name} for name in names]
    files.write_json(folder / "train.json", {"pictures": {"kept": 10}, "objects": 20, "shards": listed})
    return folder / "train"


@pytest.fixture(scope="module")
def command(miniature, data):
    """The script's arguments for a run in a folder."""

    def arguments(folder, **settings):
        chosen = {
            "base": miniature,
            "unet": "unet_inpainting",
            "data": data,
            "folder": folder,
            "resolution": 64,
            "crop": 32,
            "rank": 4,
            "modules": "to_q,to_k,to_v,conv1",
            "steps": STEPS,
            "batch_size": 4,
            "warmup_steps": 1,
            "learning_rate": 1e-3,
            "log_every": 1,
            "checkpoint_every": 1,
            "preview_every": STEPS,
        } | settings
        return [part for name, value in chosen.items() for part in (f"--{name}", str(value))]

    return arguments


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The folder of a run on one process that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    start("finesse.training.so_lora", command(folder), folder).finish()
    return folder


def test_a_run_leaves_a_lora_a_log_and_a_preview(whole, miniature):
    file = read_lora(whole / "so_lora.safetensors")
    assert (file.base, file.needs_mask) == (f"Stable Diffusion-inpainting ({miniature.name})", True)
    assert json.loads(file.metadata["finesse.config"])["rank"] == 4
    assert any(tensor.abs().max() > 0 for key, tensor in file.tensors.items() if "lora_up" in key)
    assert [line["step"] for line in log(whole)] == list(range(1, STEPS + 1))
    shown = Image.open(whole / "previews" / f"{STEPS:08}.png")
    assert shown.size == (4 * 64, 4 * 64)
    columns = torch.tensor(list(shown.tobytes())).view(4, 64, 4, 64, 3)
    assert not torch.equal(columns[:, :, 0], columns[:, :, 1])  # the picture, its hole
    assert not torch.equal(columns[:, :, 2], columns[:, :, 3])  # the base's drawing, ours


def test_two_processes_learn_what_one_learns(whole, command, tmp_path):
    start("finesse.training.so_lora", command(tmp_path), tmp_path, processes=2).finish()
    ours, theirs = read_lora(tmp_path / "so_lora.safetensors"), read_lora(whole / "so_lora.safetensors")
    assert (ours.metadata["finesse.processes"], theirs.metadata["finesse.processes"]) == ("2", "1")
    for one, other in zip(log(tmp_path), log(whole), strict=True):
        for name in ("denoise", "csd", "gradient_norm"):
            assert one[name] == pytest.approx(other[name], rel=1e-3)
    # Adam makes a whole step of a gradient near 0, whichever sign rounding gives it
    apart = torch.cat([(ours.tensors[key] - theirs.tensors[key]).abs().flatten() for key in theirs.tensors])
    assert (apart > 2e-4).float().mean() < 1e-3


def test_a_killed_run_goes_on_to_the_same_file(whole, command, tmp_path):
    given = "finesse.training.so_lora", command(tmp_path), tmp_path
    script = start(*given)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "checkpoints").glob("step-*[2-5].safetensors")):
        assert script.running(), script.output()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    script.kill()
    assert not (tmp_path / "so_lora.safetensors").exists()
    newest = sorted((tmp_path / "checkpoints").glob("step-*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])  # and the newest checkpoint is cut short
    start(*given).finish()
    ours, theirs = read_lora(tmp_path / "so_lora.safetensors"), read_lora(whole / "so_lora.safetensors")
    assert all(torch.equal(ours.tensors[key], tensor) for key, tensor in theirs.tensors.items())


def test_a_dry_run_says_what_would_be_trained(command, miniature, tmp_path, capsys):
    so_lora.main([*command(tmp_path / "run", steps=40, held_out=4), "--dry_run"])
    told = capsys.readouterr().out
    layers = len(lora.add_lora(networks.build_unet(9), 4, ["to_q", "to_k", "to_v", "conv1"]))
    assert f"SO-LoRA of rank 4 on Stable Diffusion-inpainting ({miniature.name}): {layers} layers" in told
    assert "20 boxes, 4 of them held out; 40 steps of 4 on 1 processes are 10.0 epochs" in told
    assert "GB a process: base 0.0" in told
    assert not (tmp_path / "run").exists()


def test_bench_prints_speed_and_memory(command, tmp_path, capsys):
    so_lora.main([*command(tmp_path, bench=2)])
    told = json.loads(capsys.readouterr().out)
    assert told["pictures_per_second"] > 0
    assert 0 < told["utilisation"] < 1
    assert told["peak_memory_gb"] == 0  # of a GPU
    assert not (tmp_path / "log.jsonl").exists()


def test_a_config_file_sets_what_the_command_line_does_not(command, tmp_path, capsys):
    path = tmp_path / "so_lora.yaml"
    path.write_text("rank: 7\nsteps: 30\n")
    given = command(tmp_path)
    at = given.index("--rank")
    so_lora.main([*given[:at], *given[at + 2 :], "--config", str(path), "--dry_run"])
    told = capsys.readouterr().out
    assert "of rank 7" in told
    assert f"; {STEPS} steps" in told


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "/nowhere/train"}, "data: there is no /nowhere/train.json"),
        ({"crop": "wide"}, "crop: got 'wide'"),
        ({"crop": "96"}, "crop is 96 to 96 px; give sizes from 1 up to the resolution, 64 px"),
        ({"base": "/nowhere"}, "base: /nowhere has no unet_inpainting, vae, scheduler"),
        ({"unet": "unet"}, r"base: the UNet in .* reads 4 channels"),
        ({"blocks": "side_block"}, "blocks: side_block is in no layer"),
        ({"batch_size": "3", "accumulate": "2"}, "batch_size 3 does not split into 2"),
    ],
)
def test_bad_settings_are_named(command, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        so_lora.main(command(tmp_path, **settings))


def test_an_unknown_setting_in_a_config_file_is_named(command, tmp_path):
    path = tmp_path / "so_lora.json"
    path.write_text('{"ranks": 7}')
    with pytest.raises(ValueError, match=r"so_lora.json sets ranks, which is none of accumulate, base"):
        so_lora.main([*command(tmp_path), "--config", str(path)])


def test_every_box_lies_whole_in_one_square():
    torch.manual_seed(0)
    corner = torch.rand(40, 2) * torch.tensor([900.0, 90.0])
    boxes = torch.cat([corner, corner + 10], dim=1)
    groups = list(squares(boxes, torch.tensor([1000, 100]), 100))
    assert sorted(chain.from_iterable(groups)) == list(range(40))
    for group in groups:
        assert boxes[group, 2].max() - boxes[group, 0].min() <= 100


def test_student_and_teacher_see_the_same_box():
    thing = sample(3, [(60 / 128, 20 / 64, 68 / 128, 28 / 64)])
    (view,) = views_of(thing, Views(64, (32, 32)), 4)
    assert view.boxes.tolist() == [[28.0, 20.0, 36.0, 28.0]]
    assert view.near_boxes.tolist() == [[24.0, 24.0, 40.0, 40.0]]
    assert view.texts == [("a dog", "a brown dog")]
    inside, near = view.pixels[:, 20:28, 28:36].float(), view.near_pixels[0, :, 24:40, 24:40].float()
    assert (torch.nn.functional.avg_pool2d(near, 2) - inside).abs().mean() < 12
    assert inside.float().std() > 5


def test_examples_are_encoded_once_and_read_in_any_order(miniature, data, tmp_path):
    from accelerate import Accelerator
    from finesse.training.models.base_model import load_base
    from finesse.training.models.inpainting import encoded

    base = load_base(miniature, "unet_inpainting")
    _, texts = prepare(shards(data), base, Views(64, (32, 32)), tmp_path, Accelerator(cpu=True))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again, _ = prepare(shards(data), base, Views(64, (32, 32)), tmp_path, Accelerator(cpu=True))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    assert len(written) == 3
    batches = CachedExamples(again, texts, 20, torch.device("cpu"), colour_share=1.0)
    batch = batches(0, slice(0, 20))
    for row, (shard, place) in enumerate(batches.rows.places(0, slice(0, 20))):
        number = next(i for i, one in enumerate(again) if one is shard) * 5 + int(shard["picture"][place])
        (view,) = views_of(sample(number), Views(64, (32, 32)), 4)
        one = encoded(base.vae, view.pixels[None], view.boxes[place % 2][None], fast=False)
        for name, tensor in one.items():
            torch.testing.assert_close(batch[name][row].float(), tensor[0].float(), rtol=0, atol=2e-2)
        text = base.embed([view.texts[place % 2][1]]).context[0]
        torch.testing.assert_close(batch["context"][row].float(), text, rtol=0, atol=2e-3)
    assert "0003" in batches.describe(0)
    assert prompts(sample(0).record.objects[1]) == ["an umbrella"]
