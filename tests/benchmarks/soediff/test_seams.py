"""How seams are measured: known seams have known figures, and the rivals do what their papers say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from finesse.benchmarks import results
from finesse.benchmarks.soediff import seam_rivals, seams
from finesse.core.small_objects.boxes import Box
from finesse.core.small_objects.colour_match import DEFAULT_MATCH
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

SIDE = 64
BOX = Box(64, 48, SIDE, SIDE)
GREY, PALER = torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.55, 0.5, 0.47])


@pytest.fixture(scope="module")
def drawn():
    """One edit of each kind, in a box of 64 pixels."""
    return list(seams.cases(3))[6:9]


@pytest.fixture
def flat():
    """A grey window with a grey box in it, and nothing in the box."""
    grey = GREY.expand(1, seams.WINDOW, seams.WINDOW, 3).contiguous()
    alpha = torch.zeros(1, seams.WINDOW, seams.WINDOW)
    alpha[BOX.index] = 1
    return seams.SeamCase(BOX, grey, grey, grey, alpha, np.zeros(alpha.shape[1:]))


def lab_of(colour):
    return rgb2lab(colour.double().numpy())


def test_the_same_edits_are_drawn_whenever_asked():
    found = list(seams.cases(1))
    assert len(found) == len(seams.PHOTOS) * len(seams.DISCS)
    for case, again in zip(found, seams.cases(1), strict=True):
        assert torch.equal(case.wanted, again.wanted)
        outside = case.alpha == 0
        assert torch.equal(case.wanted[outside], case.original[outside])
        changed = (case.wanted != case.original).any(dim=-1)[0].numpy()
        assert changed.any()
        assert not (changed & (case.object == 0)).any()


def test_what_is_wanted_has_no_seam(drawn):
    for case in drawn:
        assert seams.verdict(case.wanted, case) == dict.fromkeys(seams.MEASURES, 0)


def test_a_hard_edge_of_known_colours_has_the_known_step(flat):
    found = seams.verdict(torch.where(flat.alpha.unsqueeze(-1) > 0, PALER, GREY), flat)
    assert found["edge_step"] == pytest.approx(np.linalg.norm(lab_of(PALER) - lab_of(GREY)), rel=1e-4)
    whole = float(deltaE_ciede2000(lab_of(GREY), lab_of(PALER)))
    assert 0.8 * whole < found["ring_delta_e"] < whole  # the blur takes a little at the edge
    assert np.isnan(found["object_delta_e"])


def test_a_wider_feather_has_a_smaller_step(flat):
    edited = PALER.expand_as(flat.original)
    steps = [
        seams.verdict(seam_rivals.blend_linear(width)(edited, flat.original, flat.alpha), flat)["edge_step"]
        for width in (0, 4, 8, 16)
    ]
    assert steps == sorted(steps, reverse=True)
    assert steps[3] < 0.4 * steps[0]


def test_the_objects_error_is_its_own(drawn):
    case = drawn[0]
    made = case.wanted.clone()
    made[0, torch.from_numpy(case.object) > 0.5] = torch.tensor([0.0, 1.0, 0.0])
    found = seams.verdict(made, case)
    assert found["object_delta_e"] > 30
    assert found["edge_step"] == 0
    assert found["ring_delta_e"] < 0.05


def test_measures_are_means_of_the_cases_that_have_them(drawn):
    found = seams.measure(drawn, "gains", seam_rivals.MATCHES["none"], seam_rivals.BLENDS["hard"], 4)
    verdicts = [
        seams.verdict(
            torch.where(
                case.alpha[..., None] > 0,
                seams.drift_gains(case.wanted, case.alpha).clamp(0, 1),
                case.original,
            ),
            case,
        )
        for case in drawn
    ]
    for name, value in found.items():
        assert value == pytest.approx(np.mean([one[name] for one in verdicts]), rel=1e-4)
    nothing = [replace(drawn[0], object=np.zeros_like(drawn[0].object))]
    assert "object_delta_e" not in seams.measure(
        nothing, "vae", seam_rivals.MATCHES["none"], seam_rivals.BLENDS["hard"], 4
    )


def test_drifts_are_those_that_the_text_names():
    pixels, alpha = torch.full((1, 8, 8, 3), 0.5), torch.zeros(1, 8, 8)
    drifted = {name: drift(pixels, alpha) for name, drift in seams.DRIFTS.items()}
    torch.testing.assert_close(drifted["gains"][0, 0, 0], torch.tensor([0.53, 0.51, 0.48]))
    torch.testing.assert_close(drifted["gamma"][0, 0, 0, 0], torch.tensor(0.5**1.12))
    assert (drifted["wave"] - 0.5).abs().max() == pytest.approx(0.05)
    assert drifted["wave"][0, 0, 0, 0] > 0.5 > drifted["wave"][0, 0, -1, 0]
    assert torch.equal(drifted["inside"], pixels)
    inside = seams.drift_inside(pixels.repeat(1, 4, 4, 1), torch.ones(1, 32, 32))
    torch.testing.assert_close(inside, seams.drift_gains(pixels, alpha).repeat(1, 4, 4, 1))


def dense_poisson(edited, original, alpha):
    """Solve for the box's pixels so that each differs from its neighbours as in the edit, by numpy."""
    inside = alpha[0].numpy() > 0
    new, old = edited[0].double().numpy(), original[0].double().numpy()
    places = list(zip(*np.nonzero(inside), strict=True))
    matrix, right = np.zeros((len(places),) * 2), np.zeros((len(places), 3))
    for row, (y, x) in enumerate(places):
        for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= near[0] < inside.shape[0] and 0 <= near[1] < inside.shape[1]:
                matrix[row, row] += 1
                right[row] += new[y, x] - new[near]
                if inside[near]:
                    matrix[row, places.index(near)] -= 1
                else:
                    right[row] += old[near]
    made = old.copy()
    made[inside] = np.linalg.solve(matrix, right)
    return made


@pytest.mark.parametrize("box", [Box(3, 4, 7, 6), Box(0, 5, 6, 9), Box(8, 0, 6, 12)])
def test_poisson_against_a_dense_solution(box):
    torch.manual_seed(0)
    original, edited = torch.rand(1, 14, 14, 3) * 0.1 + 0.4, torch.rand(1, 14, 14, 3) * 0.1 + 0.5
    alpha = torch.zeros(1, 14, 14)
    alpha[box.index] = 1
    made = seam_rivals.match_poisson(edited, original, alpha, 4)
    expected = torch.from_numpy(dense_poisson(edited, original, alpha))
    torch.testing.assert_close(made[box.index], expected[None][box.index].float(), rtol=0, atol=1e-5)


def test_lab_and_median_undo_a_drift_of_their_own_kind(drawn):
    case = drawn[0]
    lab = rgb2lab(case.original[0].double().numpy())
    drifted = torch.from_numpy(lab2rgb(0.95 * lab + [2.0, 1.0, -1.0])).float()[None]
    by_lab = seam_rivals.match_lab(drifted, case.original, case.alpha, 4)
    assert (by_lab - case.original)[case.alpha > 0].abs().mean() < 0.004
    by_median = seam_rivals.match_median(case.original * 0.9 + 0.05, case.original, case.alpha, 4)
    assert (by_median - case.original)[case.alpha > 0].abs().max() < 0.02


@pytest.mark.parametrize("name", seam_rivals.BLENDS)
def test_blends_keep_the_outside_and_what_is_equal(name, drawn):
    case, blend = drawn[1], seam_rivals.BLENDS[name]
    edited = seams.drift_gains(case.wanted, case.alpha).clamp(0, 1)
    made = blend(edited, case.original, case.alpha)
    assert torch.equal(made[case.alpha == 0], case.original[case.alpha == 0])
    if name != "multi_band":
        middle = case.box.grow(-15).index
        torch.testing.assert_close(made[middle], edited[middle])
    torch.testing.assert_close(blend(edited, edited, case.alpha), edited)


def test_the_default_is_the_nodes():
    assert seam_rivals.MATCHES["default"] is seam_rivals.colour_match.MATCHES[DEFAULT_MATCH]


def test_the_stored_figures_reach_their_aims():
    metrics = json.loads((results.FOLDER / "seams.json").read_text())["metrics"]
    assert metrics["seams.default.ring_delta_e"] <= 1
    assert metrics["shifted.default.ring_delta_e"] <= 0.5 * metrics["shifted.none.ring_delta_e"]
    for group in ("seams", "shifted", "inside"):
        for measure in ("ring_delta_e", "edge_step"):
            found = {name: metrics[f"{group}.{name}.{measure}"] for name in seam_rivals.MATCHES}
            assert min(found, key=found.get) == "default", group


def test_the_command_writes_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(seams, "FOLDER", tmp_path)
    monkeypatch.setattr(seams, "PHOTOS", ("chelsea",))
    monkeypatch.setattr(seams, "MATCHES", {name: seams.MATCHES[name] for name in seams.SUMMARY})
    monkeypatch.setattr(seams, "BLENDS", {name: seams.BLENDS[name] for name in ("hard", seams.FEATHER)})
    monkeypatch.setattr(seams, "SHOWN", (1,))
    monkeypatch.setattr("sys.argv", ["seams", "--boxes", "1"])
    seams.main()
    metrics = json.loads((tmp_path / "seams.json").read_text())["metrics"]
    rows = {tuple(key.split(".")[:2]) for key in metrics}
    for group in ("seams", "shifted", "inside", "redrawn"):
        assert {name for own, name in rows if own == group} == set(seams.SUMMARY)
    assert {name for own, name in rows if own == "feather"} == set(seams.BLENDS)
    assert metrics["seams.default.ring_delta_e"] < metrics["seams.none.ring_delta_e"]
    assert metrics["shifted.default.ring_delta_e"] < 0.5 * metrics["shifted.none.ring_delta_e"]
    assert (tmp_path / "seams.png").stat().st_size > 1000
