"""The comparison with other packs: what is refused, what counts as declined, and that it runs in ComfyUI."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from finesse.benchmarks.soediff import peers
from finesse.benchmarks.soediff.box_pictures import held_out
from finesse.benchmarks.soediff.peer_server import PACKS, check_nodes, find_packs
from finesse.miniature.small_object_set import samples
from finesse.training.models.inpainting import draw_masks

# Packs of the same names with nodes of the same names; the one raises, the other gives the picture back.
CROP_STITCH = """
class Crop:
    RETURN_TYPES, FUNCTION = ("STITCHER", "IMAGE", "MASK"), "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "mask": ("MASK",)}}
    def run(self, image, mask):
        raise RuntimeError("the mask is too small")

class Stitch:
    RETURN_TYPES, FUNCTION = ("IMAGE",), "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"stitcher": ("STITCHER",), "inpainted_image": ("IMAGE",)}}

NODE_CLASS_MAPPINGS = {"InpaintCropImproved": Crop, "InpaintStitchImproved": Stitch}
"""
LANPAINT = """
class Encode:
    RETURN_TYPES, FUNCTION = ("LATENT",), "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "vae": ("VAE",), "mask": ("MASK",)}}
    def run(self, image, vae, mask):
        return ({"samples": vae.encode(image)},)

class Sampler:
    RETURN_TYPES, FUNCTION = ("LATENT",), "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "latent_image": ("LATENT",)}}
    def run(self, model, latent_image):
        return (latent_image,)

class Decode:
    RETURN_TYPES, FUNCTION = ("IMAGE",), "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"samples": ("LATENT",), "vae": ("VAE",)}}
    def run(self, samples, vae):
        return (vae.decode(samples["samples"]),)

NODE_CLASS_MAPPINGS = {
    "LanPaint_ImageEncode": Encode, "LanPaint_KSampler": Sampler, "LanPaint_ImageDecode": Decode
}
"""


@pytest.fixture
def packs(tmp_path):
    """A folder with both packs."""
    for folder, pack, code in (
        ("crop", PACKS["crop_stitch"], CROP_STITCH),
        ("paint", PACKS["lanpaint"], LANPAINT),
    ):
        (tmp_path / "packs" / folder).mkdir(parents=True)
        (tmp_path / "packs" / folder / "__init__.py").write_text(code)
        about = f'[project]\nname = "{pack.name}"\nversion = "{pack.version}"\n'
        (tmp_path / "packs" / folder / "pyproject.toml").write_text(about)
    return tmp_path / "packs"


def test_a_pack_that_is_missing_or_of_another_version_is_refused(packs):
    rows = ["stock", "crop_stitch", "lanpaint"]
    found = find_packs(str(packs), rows)
    assert found == {PACKS["crop_stitch"]: packs / "crop", PACKS["lanpaint"]: packs / "paint"}
    assert find_packs("", ["stock", "guided", "ours"]) == {}
    about = packs / "paint" / "pyproject.toml"
    about.write_text(about.read_text().replace("2.1.0", "1.9.0"))
    with pytest.raises(ValueError, match=r"holds version 1\.9\.0 of LanPaint; unpack release 2\.1\.0"):
        find_packs(str(packs), rows)
    assert len(find_packs(str(packs), rows[:2])) == 1
    with pytest.raises(
        ValueError, match=r"nodes: '' holds no comfyui-inpaint-cropandstitch;.*leave crop_stitch"
    ):
        find_packs("", rows)


def test_the_command_compares_all_rows_and_goes_on(packs, tmp_path, monkeypatch):
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    flags = ["--nodes", str(packs), "--boxes", "2", "--steps", "2", "--folder", str(tmp_path / "drawn")]
    monkeypatch.setattr("sys.argv", ["peers", *flags])
    peers.main()
    stored = json.loads((tmp_path / "peers.json").read_text())
    found = stored["metrics"]
    for infix in ("", ".tiny"):
        assert found[f"peers.crop_stitch{infix}.declined"] == found[f"peers.lanpaint{infix}.declined"] == 1
        assert found[f"peers.crop_stitch{infix}.accuracy"] == found[f"peers.lanpaint{infix}.accuracy"] == 0
        assert f"peers.crop_stitch{infix}.fid" not in found  # nothing was drawn
        assert f"peers.crop_stitch{infix}.time_ratio" not in found
        for row in ("stock", "guided", "ours", "ours_plain"):
            assert found[f"peers.{row}{infix}.declined"] == 0
            assert found[f"peers.{row}{infix}.fid"] > 0
        assert found[f"peers.stock{infix}.time_ratio"] == 1
        assert found[f"peers.guided{infix}.time_ratio"] > 1  # two guided steps of two
    assert "finesse.benchmarks.soediff.peers --nodes packs" in stored["command"]

    @contextmanager
    def not_needed(packs):
        raise AssertionError("all is drawn")
        yield

    monkeypatch.setattr(peers, "peers_server", not_needed)
    peers.main()
    assert json.loads((tmp_path / "peers.json").read_text())["metrics"] == found
    monkeypatch.setattr("sys.argv", ["peers", *flags, "--steps", "3"])
    with pytest.raises(ValueError, match="measured with other settings for steps"):
        peers.main()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ["--rows", "stock, krita"],
            "rows: 'krita' is none of stock, crop_stitch, lanpaint, guided, ours, ours_plain",
        ),
        (["--sizes", "huge"], "sizes: 'huge' is none of small, tiny"),
        (["--prompt", "colour"], "prompt: 'colour' is none of label, color_label"),
    ],
)
def test_what_is_not_known_is_refused(flags, told, monkeypatch):
    monkeypatch.setattr("sys.argv", ["peers", *flags])
    with pytest.raises(ValueError, match=told):
        peers.main()


def test_boxes_are_emptied(tmp_path):
    boxes = held_out(samples(tmp_path, "test", 12, 64), 3, 64, 4)
    emptied = peers.empty(boxes)
    inside = draw_masks(boxes.boxes, 64).expand_as(emptied) > 0
    assert torch.equal(emptied[~inside], boxes.pixels[~inside])
    assert peers.is_changed(emptied, boxes.pixels, boxes).all()
    boxes.pixels[inside] = 0.0
    assert torch.equal(peers.empty(boxes), emptied)  # nothing is left of what was there


def test_a_box_is_declined_when_it_came_back_unchanged(tmp_path):
    boxes = held_out(samples(tmp_path, "test", 12, 64), 3, 64, 4)
    made = boxes.pixels.clone()
    (left, top, right, bottom) = boxes.boxes[0].int().tolist()
    made[0, :, top:bottom, left:right] += 0.2
    made[1] += 0.5 / 255
    (left, top, _, _) = boxes.boxes[2].int().tolist()
    made[2] = 1 - made[2]
    made[2, :, top:, left:] = boxes.pixels[2, :, top:, left:]  # only around the box
    assert peers.is_changed(made, boxes.pixels, boxes).tolist() == [True, False, False]


def test_declined_boxes_count_as_wrong_and_not_for_fid(tmp_path):
    boxes = held_out(samples(tmp_path, "test", 100, 64), 20, 64, 4)
    jury = peers.MiniatureJury(boxes, peers.WEIGHTS)
    drawn = torch.arange(20) < 15
    found = peers.verdict(jury, boxes.pixels, drawn, "label")
    right = jury.scores(boxes.pixels, "label")
    assert found["accuracy"] == pytest.approx(right[:15].sum().item() / 20)
    assert found["declined"] == pytest.approx(0.25)
    expected = peers.frechet_distance(jury.real[:15], jury.real)
    assert found["fid"] == pytest.approx(expected)
    coloured = peers.verdict(jury, boxes.pixels, drawn, "color_label")
    asked = jury.coloured
    assert coloured["declined"] == pytest.approx(1 - drawn[asked].float().mean().item())


def test_a_pack_that_comfyui_could_not_load_is_refused():
    packs = {PACKS["lanpaint"]: Path("packs/paint")}
    check_nodes(packs, dict.fromkeys(PACKS["lanpaint"].nodes), "")
    with pytest.raises(ValueError, match=r"paint gives no LanPaint_ImageDecode;.*\nImportError: scipy"):
        check_nodes(packs, dict.fromkeys(PACKS["lanpaint"].nodes[:2]), "ImportError: scipy")
