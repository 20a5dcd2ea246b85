"""LayerDiffusion's tables on a miniature with random weights, and the jury on true pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from finesse.benchmarks.layerdiffusion import tables as layerdiffusion
from finesse.benchmarks.layerdiffusion.methods import ABLATION, PEERS, SEEDS, EditStudio, EditStudioConfig
from finesse.benchmarks.layerdiffusion.scene_edits import ACTION, CHECKS, COLOUR, EditJury, edits_of
from finesse.benchmarks.layerdiffusion.tables import Arguments, Job, Table
from finesse.miniature.model import networks

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def config(miniature):
    return EditStudioConfig(
        str(miniature), "", embedding_steps=2, embedding_rate=0.1, fine_tuning_steps=2, learning_rate=1e-2
    )


@pytest.fixture(scope="module")
def quick(config):
    return replace(config, sampling_steps=3, precision="no")


@pytest.fixture(scope="module")
def studio(quick):
    return EditStudio(quick, CPU)


@pytest.fixture(scope="module")
def jury(tmp_path_factory):
    return EditJury(networks.WEIGHTS, tmp_path_factory.mktemp("jury"), CPU)


def pixels_of(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def test_edits_change_an_action_or_a_colour_and_the_place():
    edits = edits_of(20)
    assert [edit.kind for edit in edits] == [ACTION, COLOUR] * 10
    for edit in edits:
        subject = edit.subject
        assert edit.wanted not in (subject.action, subject.colour)
        assert edit.place != edit.photo.background
        assert edit.prompt.startswith(edit.object)
        assert edit.wanted in edit.object
        assert subject.name in edit.object
    assert [edit.prompt for edit in edits_of(3)] == [edit.prompt for edit in edits[:3]]


def test_the_jury_believes_true_pictures_and_no_others(jury):
    """A photo before its edit shows the same thing, but neither the wanted deed nor the wanted place."""
    edits = edits_of(60)
    verdicts = [jury.verdicts(pixels_of(edit.photo.image), edit) for edit in edits]
    share = {name: torch.cat([row[name] for row in verdicts]).mean().item() for name in CHECKS}
    assert share["identity"] > 0.9
    assert share["action"] < 0.05
    assert share["background"] < 0.05
    assert share["success"] == 0
    empty = [jury.verdicts(pixels_of(edit.reference), edit) for edit in edits[:20]]
    assert all(row["background"] == 1 and row["similarity"] > 0.99 for row in empty)
    assert not any(row["identity"] or row["action"] for row in empty)


def test_all_variants_are_drawn_and_the_model_stays(studio):
    before = {name: tensor.clone() for name, tensor in studio.unet.state_dict().items()}
    edit = edits_of(1)[0]
    drawn = studio.variants(edit, studio.fit([edit])[0], ABLATION)
    assert list(drawn) == list(ABLATION)
    assert all(pictures.shape == (len(SEEDS), 3, 64, 64) for pictures in drawn.values())
    first, *others = drawn.values()
    assert all(not torch.equal(first, other) for other in others)
    for method in PEERS.values():
        (pictures,) = method(studio, [edit])
        assert pictures.shape == (len(SEEDS), 3, 64, 64)
    assert all(torch.equal(before[name], tensor) for name, tensor in studio.unet.state_dict().items())


def test_edits_fitted_together_are_those_fitted_alone(studio):
    edits = edits_of(2)
    together, alone = studio.fit(edits), studio.fit(edits[1:])
    for a, b in zip(together[1].optimised, alone[0].optimised, strict=True):
        # Adam's first steps are as long where the gradient is mere rounding
        assert torch.isclose(a, b, rtol=1e-3, atol=1e-4).float().mean() > 0.999


def test_what_was_drawn_is_kept_and_the_tables_have_their_names(quick, jury, tmp_path, monkeypatch):
    job = Job("full", quick, (0, 1), tmp_path)
    drawn = job.kept()
    assert drawn["full"].shape == (2, len(SEEDS), 3, 64, 64)
    with monkeypatch.context() as patched:
        patched.setattr(Job, "_draw", lambda self: pytest.fail("it was kept"))
        assert torch.equal(job.kept()["full"], drawn["full"])
    rows = Table(jury, edits_of(2)).rows("ablation", drawn)
    assert set(rows) == {f"ablation.full.{name}" for name in (*CHECKS, "text", "similarity")}
    assert all(0 <= value <= 1 for value in rows.values())


def test_speed_is_a_ratio_of_one_run(quick):
    found = layerdiffusion.speed(Arguments(timed=1), quick, edits_of(2))
    assert list(found) == ["speed.ratio_imagic"]  # seconds are of a GPU alone
    assert 0.02 < found["speed.ratio_imagic"] < 50
