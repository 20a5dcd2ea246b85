"""The script of layered edits on a miniature with random weights: photos and sentences in, edits out."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from finesse.core.files import read_json, read_tensors
from finesse.core.layers.files import read_edit
from finesse.miniature.model import networks
from finesse.tests.training.layers.photos import CAR, DOG, ENDS, SIDE, process, write_edits
from finesse.training import layered
from finesse.training.models import sampling
from finesse.training.models.base_model import PLAIN, load_base
from finesse.training.models.edit_weights import edit_weights
from PIL import Image
from tqdm import tqdm


@pytest.fixture(scope="module")
def made(layered_config, tmp_path_factory):
    """The results of the two edits, by each kind of weights."""
    folders = {}
    for kind in ("full", "low-rank"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        layered.run(layered_config(folders[kind], weights=kind), process())
    return folders


def contents(folder):
    """What each file holds; safetensors orders a header's metadata by chance."""
    found = {}
    for path in sorted(folder.iterdir()):
        found[path.name] = path.read_bytes()
        if path.suffix == ".safetensors":
            tensors, metadata = read_tensors(path)
            numbers = {key: (value.dtype, value.numpy().tobytes()) for key, value in tensors.items()}
            found[path.name] = (metadata, numbers)
    return found


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", ["full", "low-rank"])
def test_each_edit_leaves_weights_embeddings_losses_and_pictures(made, kind):
    assert set(contents(made[kind])) == {f"{name}.{end}" for name in ("dog", "2") for end in ENDS}
    for name in ("dog", "2"):
        edit = read_edit(made[kind] / f"{name}.safetensors")
        ends = {"full": {"diff", "diff_b"}, "low-rank": {"lora_down.weight", "lora_up.weight", "alpha"}}
        assert {key.split(".", 1)[1] for key in edit.lora} == ends[kind]
        assert all(tensor.isfinite().all() for tensor in edit.lora.values())
        learnt = [key for key in edit.lora if key.endswith(("diff", "lora_up.weight"))]
        assert sum(bool(edit.lora[key].any()) for key in learnt) > 0.95 * len(learnt)
        found = edit.embeddings
        assert {key: tuple(value.shape) for key, value in found.items()} == dict.fromkeys(
            ("positive", "object", "background"), (1, networks.TEXT_LENGTH, networks.TEXT_WIDTH)
        )
        losses = read_json(made[kind] / f"{name}.json")
        assert [len(losses[part]) for part in ("embeddings", "weights")] == [4, 3]
        assert Image.open(made[kind] / f"{name}.png").size == (4 * SIDE, SIDE)


@torch.no_grad()
def test_the_object_s_text_is_kept_as_encoded_and_the_others_as_fitted(made, photos):
    embeddings = read_edit(made["full"] / "dog.safetensors").embeddings
    base = load_base(photos / "base", channels=PLAIN)
    texts = {"object": base.embed(["a dog jumping"]).context, "background": base.embed(["a forest"]).context}
    assert torch.equal(embeddings["object"], texts["object"])
    assert not torch.equal(embeddings["background"], texts["background"])
    fitted_object = (embeddings["positive"] - 0.3 * embeddings["background"]) / 0.7
    moved = [
        (fitted_object - texts["object"]).norm(),
        (embeddings["background"] - texts["background"]).norm(),
    ]
    assert 0.5 < moved[0] / moved[1] < 2  # as many steps of Adam, which are as long


def test_the_pictures_turn_to_the_object_s_text_as_encoded(editing, monkeypatch):
    base, editor, edits = editing(weights="low-rank", pictures=1)
    turned, sample = [], sampling.sample

    def watched(*inputs, turns=None, **settings):
        turned.append(turns)
        return sample(*inputs, turns=turns, **settings)

    monkeypatch.setattr(sampling, "sample", watched)
    editor.make(edits[1], tqdm(disable=True))
    ((text, _, steps),) = turned
    assert torch.equal(text, base.embed(["a red car"]).context)
    assert steps == [False, True, False]


def test_the_header_tells_of_what_and_how_it_was_made(made, photos):
    metadata = read_edit(made["low-rank"] / "2.safetensors").metadata
    assert metadata["finesse.base"] == "Stable Diffusion (base)"
    assert metadata["finesse.commit"]
    told = json.loads(metadata["finesse.config"])
    assert (told["weights"], told["rank"], told["embedding_steps"]) == ("low-rank", 2, 4)
    told = json.loads(metadata["finesse.edit"])
    assert (told["object"], told["background"], told["seed"]) == ("a red car", "some grass", 5)
    assert not any(str(photos) in value for value in metadata.values())


@torch.no_grad()
def test_the_strip_shows_the_photo_its_reference_and_the_pictures(made, photos):
    strips = {
        name: np.asarray(Image.open(made["full"] / f"{name}.png").convert("RGB")).reshape(SIDE, 4, SIDE, 3)
        for name in ("dog", "2")
    }
    cut = Image.open(photos / "dog.png").crop((4, 0, 44, 40)).resize((SIDE, SIDE), Image.LANCZOS)
    assert np.abs(strips["dog"][:, 0] - np.asarray(cut).astype(int)).max() <= 1
    assert np.array_equal(strips["2"][:, 0], np.asarray(Image.open(photos / "car.png")))
    assert not np.array_equal(strips["dog"][:, 2], strips["dog"][:, 3])

    base = load_base(photos / "base", channels=PLAIN)
    text, empty = (base.embed([words]).context for words in ("a forest", ""))
    noise = sampling.noise_for([0], (4, 8, 8), "cpu")
    drawn = sampling.sample(base.unet, text, empty[0], noise, steps=3, guidance=7.5)
    expected = (sampling.decode(base.vae, drawn)[0] * 255).round().movedim(0, -1).numpy()
    assert np.abs(strips["dog"][:, 1] - expected).max() <= 1


@pytest.mark.parametrize("kind", ["full", "low-rank"])
def test_any_number_of_processes_makes_the_same_bits(made, layered_config, tmp_path, kind):
    """The second one's share, which it makes first, is every second edit."""
    layered.run(layered_config(tmp_path, weights=kind), process(1, 2))
    assert set(contents(tmp_path)) == {f"2.{end}" for end in ENDS}
    layered.run(layered_config(tmp_path, weights=kind), process(0, 2))
    assert contents(tmp_path) == contents(made[kind])


def test_finished_edits_are_kept_and_others_made_again(layered_config, photos, tmp_path):
    own, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(photos, own, ignore=shutil.ignore_patterns("base"))

    def run(**changes):
        quick = {"weights": "low-rank", "embedding_steps": 1, "fine_tuning_steps": 1, "pictures": 0}
        before = times(out) if out.exists() else {}
        layered.run(layered_config(out, edits=str(own / "edits.jsonl"), **quick | changes), process())
        after = times(out)
        return {name for name in after if after[name] != before.get(name)}

    dog, car = ({f"{name}.{end}" for end in ENDS} for name in ("dog", "2"))
    assert run() == dog | car
    assert run() == run(gradient_checkpointing=True) == set()
    assert run(alpha=0.6) == dog | car
    assert run() == dog | car
    write_edits(own, DOG | {"prompt": "a dog jumping on a beach"}, CAR)
    assert run() == dog
    Image.open(own / "dog_mask.png").transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(own / "car_mask.png")
    Image.open(own / "car_mask.png").crop((0, 0, SIDE, SIDE)).save(own / "car_mask.png")
    assert run() == car
    stored = out / "dog.safetensors"
    stored.write_bytes(stored.read_bytes()[:-8])
    assert run() == dog
    stored.unlink()
    assert run() == dog
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    "changes",
    [{"weights": "full"}, {"weights": "low-rank"}, {"weights": "full", "learning_rate": 1.0}],
    ids=["full", "low-rank", "diverges"],
)
def test_the_base_is_left_as_it_was(editing, changes):
    base, editor, edits = editing(fine_tuning_steps=10, **changes)
    before = {name: tensor.clone() for name, tensor in base.unet.state_dict().items()}
    kinds = {name: type(module) for name, module in base.unet.named_modules()}
    diverges = changes.get("learning_rate") == 1.0
    expected = pytest.raises(ValueError, match=r"line 1 of edits.jsonl: The loss is (nan|inf) at step")
    with expected if diverges else nullcontext():
        learnt = layered.learn(editor, edits[0], tqdm(disable=True))
        assert max(tensor.abs().max() for tensor in learnt.lora.values()) > 1e-4
    assert {name: type(module) for name, module in base.unet.named_modules()} == kinds
    after = base.unet.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not any(p.requires_grad or p.grad is not None for p in base.unet.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edits": "/nowhere.jsonl"}, "edits: there is no file '/nowhere.jsonl'; give one with a line such"),
        ({"base": "/nowhere"}, "base: /nowhere has no unet"),
        ({"unet": "unet_inpainting"}, "base: the UNet in .* reads 9 channels; give a plain"),
        ({"resolution": 34}, "resolution is 34; give a multiple of 4"),
        ({"embedding_steps": 0}, "embedding_steps is 0; give 1 to"),
        ({"embedding_rate": 0.0}, "embedding_rate is 0.0; give more than 0"),
        ({"object_weight": 0.0, "background_weight": 0.0}, "are both 0; give one of them"),
        ({"alpha": 1.5}, "alpha is 1.5; give 0 to 1"),
        ({"object_every": -1}, "object_every is -1"),
    ],
)
def test_bad_settings_are_named(layered_config, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        layered.run(layered_config(tmp_path / "out", **changes), process())


def test_the_command_line_plans_and_makes(photos, tmp_path, capsys):
    settings = {
        "base": photos / "base",
        "edits": photos / "edits.jsonl",
        "folder": tmp_path / "out",
        "resolution": SIDE,
        "weights": "low-rank",
        "rank": 1,
        "embedding_steps": 1,
        "fine_tuning_steps": 1,
        "sampling_steps": 2,
        "pictures": 1,
    }
    given = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    layered.main([*given, "--dry_run", "--gradient_checkpointing"])
    assert not (tmp_path / "out").exists()
    unet = load_base(photos / "base", channels=PLAIN).unet
    with edit_weights(unet, 1, 0) as weights:
        learnt = sum(p.numel() for p in weights.parameters)
    total = sum(p.numel() for p in unet.parameters())
    told = capsys.readouterr().out
    assert "2 edits on Stable Diffusion (base), 0 of them finished, on 1 processes; 1 + 1 steps" in told
    assert f"rank 1: {learnt / 1e6:.1f} M learnt of {total / 1e6:.1f} M" in told
    assert "about 0.0 GB a process: base 0.0, what is learnt, gradients and moments 0.0, kept" in told
    layered.main([*given, "--dry_run", "--weights", "full"])
    assert f"full weights: {total / 1e6:.1f} M learnt of {total / 1e6:.1f} M" in capsys.readouterr().out
    layered.main(given)
    assert (tmp_path / "out" / "2.safetensors").is_file()
    layered.main([*given, "--dry_run"])
    assert "2 edits on Stable Diffusion (base), 2 of them finished" in capsys.readouterr().out
