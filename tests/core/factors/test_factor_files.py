"""Factor files written and read back, and adapters taken out of the checkpoints of the authors' code."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from finesse.core import files
from finesse.core.factors.adapter import Factor, PlainAdapter, TimestepAdapter
from finesse.core.factors.files import UNET, FactorInfo, convert_checkpoint, read_factor, write_factor
from torch import nn

WIDTHS = (32, 64)
PREFIX = f"{UNET}adapter."
INFO = FactorInfo(
    condition="segmentation",
    palette="coco-stuff",
    base="SD1.x",
    trained={"steps": 100_000, "distillation": {"weight": 0.1}, "data": "COCO-Stuff"},
)
REST = {
    "betas": torch.ones(3),
    "model.diffusion_model.input_blocks.0.0.weight": torch.ones(2, 4, 3, 3),
    "first_stage_model.encoder.conv_in.weight": torch.ones(2),
    "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77),
}

PEAKS = """
import sys, torch
from pathlib import Path
from finesse.core.factors.files import convert_checkpoint

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

start = peak()
factor = convert_checkpoint(sys.argv[1])
mapped = peak()
torch.load(sys.argv[1], weights_only=True, map_location="cpu")
print(mapped - start, peak() - mapped, factor.kind)
"""


def plain(parents=0):
    return Factor([PlainAdapter(WIDTHS) for _ in range(parents or 1)])


def kinds():
    torch.manual_seed(0)
    several = Factor([TimestepAdapter(WIDTHS, 48), TimestepAdapter(WIDTHS, 48)])
    return [Factor([TimestepAdapter(WIDTHS, 48)]), plain(), several]


def info_of(factor):
    parents = ("depth", "pose")[: len(factor.adapters)] if len(factor.adapters) > 1 else ()
    return dataclasses.replace(INFO, parents=parents)


def foreign(factor, **more):
    """As the authors' code saves it: a whole model under `state_dict`, the adapters in its midst."""
    prefix = PREFIX if len(factor.adapters) == 1 else UNET
    weights = {prefix + key: tensor for key, tensor in factor.tensors().items()}
    return {"epoch": 3, "state_dict": OrderedDict(REST | weights), **more}


def refuses(message):
    return pytest.raises(ValueError, match=message)


@pytest.fixture
def saved(tmp_path):
    def save(value, **options):
        torch.save(value, tmp_path / "fgdm_seg.pth", **options)
        return tmp_path / "fgdm_seg.pth"

    return save


@pytest.fixture
def written(tmp_path):
    def write(tensors, metadata):
        files.write_tensors(tmp_path / "some.safetensors", tensors, metadata)
        return tmp_path / "some.safetensors"

    return write


@pytest.mark.parametrize("factor", kinds())
def test_a_factor_comes_back_as_written_in_fp16(tmp_path, factor):
    info = info_of(factor)
    write_factor(tmp_path / "new" / "seg.safetensors", factor, info)
    read, read_info = read_factor(tmp_path / "new" / "seg.safetensors")
    assert (read.kind, read.widths, read.time_width) == (factor.kind, factor.widths, factor.time_width)
    assert read_info == info
    assert list(read.tensors()) == list(factor.tensors())
    for key, tensor in factor.tensors().items():
        assert read.tensors()[key].dtype == torch.float16
        assert torch.equal(read.tensors()[key], tensor.half())


def test_the_keys_of_several_parents_are_numbered(tmp_path):
    write_factor(tmp_path / "a.safetensors", plain(1), INFO)
    write_factor(tmp_path / "b.safetensors", plain(2), dataclasses.replace(INFO, parents=["depth", "pose"]))
    one, two = (set(files.read_tensors(tmp_path / f"{name}.safetensors")[0]) for name in "ab")
    assert "conv_in.weight" in one
    assert two == {f"adapters.{place}.{key}" for place in (0, 1) for key in one}


@pytest.mark.parametrize(
    ("adapters", "parents"), [(2, ()), (2, ("pose",)), (1, ("pose", "depth")), (2, ("a", "b", "c"))]
)
def test_a_factor_has_an_adapter_for_each_parent(tmp_path, written, adapters, parents):
    factor, info = plain(adapters), dataclasses.replace(INFO, parents=parents)
    message = rf"parents are \[.*\], its adapters {adapters}: a factor has one for each parent, or a single"
    with refuses(rf"^its {message}"):
        write_factor(tmp_path / "a.safetensors", factor, info)
    assert list(tmp_path.iterdir()) == []
    with refuses(rf"^some\.safetensors is no factor file: its {message}"):
        read_factor(written(factor.tensors(), info.header()))


def test_a_gap_in_the_numbering_of_adapters_is_named(written, saved):
    tensors = {key.replace("adapters.1.", "adapters.2."): t for key, t in plain(2).tensors().items()}
    gap = r"adapters \[0, 2\] are in it; they must be numbered from 0, without a gap"
    with refuses(rf"some\.safetensors is no factor file: {gap}"):
        read_factor(written(tensors, INFO.header()))
    with refuses(rf"the adapter in fgdm_seg\.pth does not fit: {gap}"):
        convert_checkpoint(saved({UNET + key: tensor for key, tensor in tensors.items()}))


def test_the_header_is_text_and_json(tmp_path):
    pose = FactorInfo(condition="pose", base="SD1.x", parents=["segmentation", "depth"], trained={"steps": 2})
    write_factor(tmp_path / "pose.safetensors", plain(2), pose)
    assert files.read_tensors(tmp_path / "pose.safetensors")[1] == {
        "modelspec.title": "FG-DM factor, pose",
        "finesse.condition": "pose",
        "finesse.palette": "",
        "finesse.base": "SD1.x",
        "finesse.parents": '["segmentation", "depth"]',
        "finesse.trained": '{"steps": 2}',
    }
    assert read_factor(tmp_path / "pose.safetensors")[1].parents == ("segmentation", "depth")


class Marked:
    Conv2d = type("Conv2d", (nn.Conv2d,), {})


def test_layers_are_made_by_the_given_operations(tmp_path):
    write_factor(tmp_path / "a.safetensors", plain(), INFO)
    assert (
        type(read_factor(tmp_path / "a.safetensors", operations=Marked)[0].adapters[0].conv_in)
        is Marked.Conv2d
    )


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_beyond_fp16_are_named_and_not_written(tmp_path, value):
    factor = plain()
    factor.adapters[0].body[1].block2.bias.data[3] = value
    with refuses(r"body\.1\.block2\.bias has values that fp16 cannot hold: .* not written"):
        write_factor(tmp_path / "a.safetensors", factor, INFO)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"condition": ""}, r"condition of a factor is '': give it a name"),
        ({"base": None}, r"base of a factor is None: give it a name"),
        ({"palette": ""}, r"palette of the segmentation factor is '': give the palette's name"),
        ({"condition": "pose", "palette": 3}, r"palette of the pose factor is 3"),
        (
            {"parents": "pose"},
            r"parents of the segmentation factor are 'pose': give a list of other conditions",
        ),
        ({"parents": ["pose", "pose"]}, r"are \['pose', 'pose'\]: .* each once"),
        ({"parents": ["segmentation"]}, r"are \['segmentation'\]: give a list of other conditions"),
        ({"parents": [""]}, r"are \[''\]: give a list"),
        ({"trained": {"loss": float("nan")}}, r"trained: \{'loss': nan\} does not fit into JSON"),
        ({"trained": {"folder": Path("x")}}, r"trained: .* does not fit into JSON"),
        ({"trained": [1]}, r"trained: \[1\] is no dictionary"),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields, message):
    with refuses(message):
        FactorInfo(**{"condition": "segmentation", "palette": "ade20k", "base": "SD1.x", **fields})


def test_a_file_of_something_else_is_named(written):
    weights = plain().tensors()
    with refuses(r"^some\.safetensors is no factor file: no factor adapter: .*, but q\.lora_"):
        read_factor(written({"q.lora_up.weight": torch.ones(1)}, {}))
    with refuses(r"is no factor file: its header lacks finesse\.condition: write the file"):
        read_factor(written(weights, {}))
    with refuses(r"finesse\.parents in its header is '\[', which is not JSON"):
        read_factor(written(weights, INFO.header() | {"finesse.parents": "["}))
    with refuses(r"is no factor file: trained: \[\] is no dictionary"):
        read_factor(written(weights, INFO.header() | {"finesse.trained": "[]"}))
    wrong = weights | {"body.0.block2.bias": torch.ones(31)}
    with refuses(r"is no factor file: body\.0\.block2\.bias is \[31\]; .* needs \[32\]"):
        read_factor(written(wrong, INFO.header()))


def test_a_missing_or_cut_factor_file_is_named(tmp_path):
    with refuses(r"a\.safetensors is missing in .*: put it there or choose"):
        read_factor(tmp_path / "a.safetensors")
    write_factor(tmp_path / "a.safetensors", plain(), INFO)
    os.truncate(tmp_path / "a.safetensors", 5000)
    with refuses(r"a\.safetensors is cut short or damaged \(5000 bytes\)"):
        read_factor(tmp_path / "a.safetensors")


@pytest.mark.parametrize("factor", kinds())
@pytest.mark.parametrize("nested", [True, False])
def test_the_factor_is_taken_out_of_a_whole_model(saved, factor, nested):
    checkpoint = foreign(factor)
    path = saved(checkpoint if nested else checkpoint["state_dict"])
    found = convert_checkpoint(path)
    path.write_bytes(b"gone")  # the weights must not hang on the file
    assert (found.kind, len(found.adapters)) == (factor.kind, len(factor.adapters))
    for key, tensor in factor.tensors().items():
        assert found.tensors()[key].dtype == torch.float32
        assert torch.equal(found.tensors()[key], tensor)


@pytest.mark.parametrize("factor", kinds())
def test_a_converted_checkpoint_is_a_factor_file(saved, tmp_path, factor):
    path, wanted = saved(foreign(factor)), info_of(factor)
    write_factor(tmp_path / "seg.safetensors", convert_checkpoint(path), wanted)
    read, info = read_factor(tmp_path / "seg.safetensors")
    assert (read.kind, read.widths, info) == (factor.kind, WIDTHS, wanted)


def test_layers_of_a_checkpoint_are_made_by_the_given_operations(saved):
    factor = convert_checkpoint(saved(foreign(plain(2))), operations=Marked)
    assert {type(adapter.conv_in) for adapter in factor.adapters} == {Marked.Conv2d}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux")
def test_the_rest_of_the_checkpoint_stays_on_the_disk(saved):
    large = 200_000_000
    checkpoint = foreign(plain())
    checkpoint["state_dict"]["model.diffusion_model.middle_block.1.weight"] = torch.ones(large // 4)
    path = saved(checkpoint)
    root = str(Path(files.__file__).absolute().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    try:
        command = [sys.executable, "-c", PEAKS, str(path)]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    finally:
        path.unlink()
    mapped, read, kind = out.split()
    assert kind == "plain"
    assert int(read) > 0.9 * large  # so the peak would have told
    assert int(mapped) < 0.2 * large


def test_a_checkpoint_of_old_lightning_is_read_without_lightning(saved, monkeypatch):
    name = "pytorch_lightning.callbacks.model_checkpoint"
    theirs = type("ModelCheckpoint", (), {"__module__": name})
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    sys.modules[name].ModelCheckpoint = theirs
    path = saved(foreign(plain(), callbacks={theirs: {"monitor": "val/loss_simple_ema"}}))
    monkeypatch.undo()
    allowed = set(torch.serialization.get_safe_globals())
    assert convert_checkpoint(path).widths == WIDTHS
    assert set(torch.serialization.get_safe_globals()) == allowed


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w')",)


def test_code_in_a_checkpoint_is_refused_and_not_run(saved, tmp_path):
    malicious = Malicious(tmp_path / "ran")
    path = saved(foreign(plain(), callbacks=malicious))
    with refuses(r"fgdm_seg\.pth is refused: it holds (builtins\.)?exec, .* could run code"):
        convert_checkpoint(path)
    assert not (tmp_path / "ran").exists()
    function, arguments = malicious.__reduce__()
    function(*arguments)
    assert (tmp_path / "ran").exists()  # so it was a real attempt


def test_a_missing_or_cut_checkpoint_is_named(saved, tmp_path):
    with refuses(r"none\.pth is missing in .*: put it there or choose another file"):
        convert_checkpoint(tmp_path / "none.pth")
    path = saved(foreign(plain()))
    os.truncate(path, 20_000)
    with refuses(r"fgdm_seg\.pth is cut short \(20000 bytes\): copy or download it again"):
        convert_checkpoint(path)


def test_a_file_that_is_no_checkpoint_is_named(saved, tmp_path):
    not_torch = r"fgdm_seg\.pth is no checkpoint as torch writes it since 1\.6: give one, or save yours"
    path = saved(foreign(plain()), _use_new_zipfile_serialization=False)
    with refuses(not_torch):
        convert_checkpoint(path)
    write_factor(path, plain(), INFO)
    with refuses(not_torch):
        convert_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "pictures")
    with refuses(r"fgdm_seg\.pth is no whole checkpoint: copy or download it again"):
        convert_checkpoint(path)
    for value in (torch.ones(2), {"state_dict": [1]}):
        with refuses(r"fgdm_seg\.pth holds no state dict: give a checkpoint"):
            convert_checkpoint(saved(value))


def test_a_checkpoint_without_its_adapter_tells_what_it_has(saved):
    found = "betas, cond_stage_model.transformer, first_stage_model.encoder, model.diffusion_model$"
    with refuses(rf"no adapter: no key starts with {PREFIX}, only {found}"):
        convert_checkpoint(saved({"state_dict": REST}))
    with refuses(r"has no adapter: .* only no tensor at all$"):
        convert_checkpoint(saved({"state_dict": {}}))
    with refuses(r"only a0\.b, a1\.b, .*, a7\.b, …$"):
        convert_checkpoint(saved({f"a{i}.b.c": torch.ones(1) for i in range(10)}))


def test_an_adapter_that_does_not_fit_is_named(saved):
    checkpoint = foreign(plain())
    checkpoint["state_dict"][PREFIX + "body.2.in_conv.weight"] = torch.ones(64, 32, 3, 3)
    with refuses(r"the adapter in fgdm_seg\.pth does not fit: body\.2\.in_conv\.weight is \[64, 32, 3, 3\];"):
        convert_checkpoint(saved(checkpoint))
