"""Depth is bright where near, normals are ControlNet's, sketches find edges and no texture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from finesse.training.data.map_estimators import DepthModel, as_picture, normals, sketches
from PIL import Image
from scipy import ndimage
from transformers import DepthAnythingConfig, DPTConfig, DPTForSemanticSegmentation

CPU = torch.device("cpu")


def picture(seed, side=50):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side, side, 3)), (4, 4, 0))
    return Image.fromarray(np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth)))


@pytest.fixture(scope="module")
def model(dpt_folder):
    return DepthModel(dpt_folder, CPU)


def step(angle=0.0, side=128, height=1.0):
    """White to the right of a line through the middle, antialiased, that is turned by `angle`."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    values = height * np.clip(x * np.cos(angle) + y * np.sin(angle) + 0.5, 0, 1)
    return torch.tensor(values, dtype=torch.float32).expand(1, 3, -1, -1)


def test_depth_is_the_models_stretched_and_shared_by_no_other_picture(model):
    pictures = [picture(seed) for seed in range(3)]
    pixels = torch.stack([model.prepare(p) for p in pictures])
    found = model(pixels, 40)
    with torch.inference_mode():
        raw = model.model(pixel_values=pixels).predicted_depth

    assert found.shape == (3, 40, 40)
    assert found.amin((1, 2)).tolist() == [0, 0, 0]
    assert found.amax((1, 2)).tolist() == [1, 1, 1]
    for index in range(3):
        torch.testing.assert_close(model(pixels[index : index + 1], 40)[0], found[index], atol=1e-4, rtol=0)
        small = ndimage.zoom(raw[index].numpy(), 40 / raw.shape[-1], order=1, grid_mode=True, mode="nearest")
        assert np.corrcoef(small.ravel(), found[index].flatten())[0, 1] > 0.98  # large stays large


def test_a_flat_depth_is_far_everywhere(model, monkeypatch):
    flat = type("Output", (), {"predicted_depth": torch.full((2, 8, 8), 3.0)})
    monkeypatch.setattr(model, "model", lambda pixel_values: flat)
    assert not model(torch.zeros(2, 3, 8, 8), 16).any()


def test_other_folders_than_a_depth_models_are_refused(tmp_path, dpt_folder):
    with pytest.raises(ValueError, match=r"none has no config.json: give the folder of a DPT"):
        DepthModel(tmp_path / "none", CPU)
    config = DPTConfig.from_pretrained(dpt_folder)
    DPTForSemanticSegmentation(config).save_pretrained(tmp_path / "labels")
    with pytest.raises(ValueError, match=r"labels cannot be used: it is a DPTForSemanticSegmentation"):
        DepthModel(tmp_path / "labels", CPU)
    metric = DepthAnythingConfig(
        depth_estimation_type="metric", architectures=["DepthAnythingForDepthEstimation"]
    )
    metric.save_pretrained(tmp_path / "metres")
    with pytest.raises(ValueError, match=r"metres cannot be used: its depth is metric, not relative"):
        DepthModel(tmp_path / "metres", CPU)
    config.architectures = ["DPTForDepthEstimation"]
    config.save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match=r"bare cannot be used"):
        DepthModel(tmp_path / "bare", CPU)


def test_normals_are_those_of_controlnets_annotator():
    nearness = ndimage.gaussian_filter(np.random.default_rng(3).uniform(size=(2, 96, 96)), (0, 3, 3))
    nearness = np.float32((nearness - nearness.min()) / np.ptp(nearness))
    for found, near in zip(normals(torch.tensor(nearness)), nearness, strict=True):
        x, y = (ndimage.sobel(near, axis, mode="mirror") * 96 / 384 for axis in (1, 0))
        x[near < 0.1] = y[near < 0.1] = 0
        vector = np.stack([x, y, np.full_like(x, 2 * np.pi)])
        vector /= np.linalg.norm(vector, axis=0)
        np.testing.assert_allclose(found.numpy(), (vector + 1) / 2, atol=1e-5)


def test_normals_do_not_depend_on_the_size_of_the_map():
    slope = [torch.linspace(0.2, 1, side).expand(1, side, side) for side in (64, 256)]
    small, large = (normals(nearness)[0, :, 5, 5] for nearness in slope)
    torch.testing.assert_close(small[0] - 0.5, large[0] - 0.5, atol=0, rtol=0.03)
    assert small[0] > 0.501 > small[1]  # nearer to the right: it faces left, which is red
    assert as_picture(normals(torch.zeros(1, 4, 4))[0]).getpixel((1, 1)) == (128, 128, 255)


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.57, 2.3, 4.0])
def test_an_edge_is_a_thin_bright_line_where_it_is(angle):
    lines = sketches(step(angle))[0].numpy()
    y, x = np.mgrid[:128, :128] - 63.5
    distance = np.abs(x * np.cos(angle) + y * np.sin(angle))

    inner = np.maximum(np.abs(x), np.abs(y)) < 50
    assert lines[(distance <= 0.5) & inner].min() > 0.7
    assert lines[distance > 3].max() < 0.05


def test_flat_pictures_are_black_and_faint_edges_grey():
    assert not sketches(torch.full((1, 3, 64, 64), 0.4)).any()
    peaks = [float(sketches(step(height=height)).max()) for height in (0.02, 0.1, 0.5)]
    assert peaks[0] == 0
    assert 0.1 < peaks[1] < 0.7
    assert peaks[2] > 0.9


def test_texture_is_fainter_than_an_edge_of_the_same_contrast():
    board = torch.tensor(np.indices((128, 128)).sum(0) // 2 % 2, dtype=torch.float32)
    assert sketches(board.expand(1, 3, -1, -1))[0, 20:-20, 20:-20].mean() < 0.02
    assert sketches(step())[0, :, 62:66].mean() > 0.4


def test_edges_between_colours_of_one_brightness_count():
    pictures = torch.zeros(1, 3, 64, 64)
    pictures[:, 0, :, :32], pictures[:, 1, :, 32:] = 0.8, 0.8
    assert sketches(pictures)[0, 32, 30:34].max() > 0.9


def test_a_turned_picture_has_a_turned_sketch():
    pixels = torch.tensor(np.array(picture(1, 96))).permute(2, 0, 1)[None] / 255
    turned = sketches(pixels.rot90(1, (2, 3)))
    assert (turned - sketches(pixels).rot90(1, (1, 2))).abs().mean() < 0.01


def test_pictures_of_values():
    values = torch.tensor([[0.0, 0.5], [0.25, 1.0]])
    assert np.asarray(as_picture(values)).tolist() == [[0, 128], [64, 255]]
    assert np.asarray(as_picture(values.expand(3, -1, -1)))[0, 1].tolist() == [128] * 3
