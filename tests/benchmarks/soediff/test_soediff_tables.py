"""SOEDiff's tables on a miniature with random weights: what they hold, and what the methods draw."""

from __future__ import annotations

import json
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from finesse.benchmarks.soediff import box_pictures, rows
from finesse.benchmarks.soediff import tables as soediff
from finesse.benchmarks.soediff.juries import ClipJury
from finesse.benchmarks.soediff.methods import BoxStudio, BoxStudioConfig
from finesse.miniature.model import judges, networks
from finesse.miniature.small_object_set import samples, write_samples
from finesse.training.data.samples import read_shard, shards
from finesse.training.models import lora
from finesse.training.models.base_model import Embedded
from finesse.training.models.inpainting import draw_masks
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.transforms.functional import to_pil_image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer


@pytest.fixture(scope="module")
def config(miniature, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    (unet,) = networks.load_networks(miniature, "unet_inpainting")
    lora.add_lora(unet, 2)
    torch.manual_seed(0)
    for name, parameter in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    lora.save_lora(unet, folder / "lora.safetensors", {})
    judges.save_judge(judges.Classifier(), miniature / "judges" / "classifier.safetensors")
    (vae,) = networks.load_networks(miniature, "vae")
    vae.decoder.conv_out.bias.data += 0.1
    vae.save_pretrained(folder / "vae")
    path = str(folder / "lora.safetensors")
    return BoxStudioConfig(
        str(miniature), so_lora=path, without_csd=path, tuned_vae=str(folder / "vae"), steps=2
    )


@pytest.fixture(scope="module")
def studio(config):
    return BoxStudio(config, torch.device("cpu"))


@pytest.fixture(scope="module")
def boxes(studio, tmp_path_factory):
    return box_pictures.held_out(samples(tmp_path_factory.mktemp("cache"), "test", 36, 64), 6, 64, 4)


def test_held_out_boxes_are_small_and_named(boxes):
    assert boxes.pixels.shape == boxes.near_pixels.shape == (6, 3, 64, 64)
    side = (boxes.boxes[:, 2:] - boxes.boxes[:, :2]).amax(dim=1)
    assert side.min() >= 8
    assert side.max() <= 16  # 1/6 of the side, grown to whole cells
    for (plain, coloured), (label, colour) in zip(boxes.texts, boxes.things, strict=True):
        assert plain.endswith(label)
        assert (colour in coloured) if colour else coloured == plain


@pytest.mark.parametrize("name", ["blended", "base", "crop_paste", "all", "so_lora_vt"])
def test_a_method_draws_inside_the_box_only(studio, boxes, name):
    method = {**studio.peers, **studio.ablation}[name]
    made = rows.draw(studio, method, boxes, "label", 0)
    again = rows.draw(studio, method, boxes, "label", 0)
    other = rows.draw(studio, method, boxes, "label", 1)
    inside = draw_masks(boxes.boxes, 64).expand_as(made) > 0
    assert torch.equal(made[~inside], boxes.pixels[~inside])
    assert torch.equal(made, again)
    assert not torch.equal(made[inside], other[inside])
    assert not torch.equal(made[inside], boxes.pixels[inside])


def test_crop_and_paste_puts_the_window_back_where_it_was(studio, boxes, monkeypatch):
    monkeypatch.setattr(studio, "inpaint", lambda unet, vae, part, text, noise: part.pixels)
    pasted = studio.crop_paste(boxes, Embedded(torch.zeros(6, 1, 1), None), torch.zeros(6, 1))
    assert (pasted - boxes.pixels).abs().mean() < 0.01


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_scaled_window_puts_the_box_back_where_it_was(studio, boxes, monkeypatch, scale):
    seen = []

    def red_in_the_box(unet, vae, part, text, noise):
        seen.append(part)
        inside = draw_masks(part.boxes, 64)
        return torch.cat([inside, part.pixels[:, 1:] * (1 - inside)], dim=1)

    monkeypatch.setattr(studio, "inpaint", red_in_the_box)
    made = studio.scaled(None, None, scale, boxes, None, None)
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(3, 64, 64)
    expected = torch.where(draw_masks(boxes.boxes, 64) > 0, red, boxes.pixels)
    torch.testing.assert_close(made, expected)
    sides, given = ((each[:, 2:] - each[:, :2]).float() for each in (seen[0].boxes, boxes.boxes))
    assert torch.all(sides >= scale * given * 0.98)  # a third of 64 pixels is 21
    assert torch.all(sides % 4 == 0)
    monkeypatch.setattr(studio, "inpaint", lambda unet, vae, part, text, noise: part.pixels)
    same = studio.scaled(None, None, scale, boxes, None, None)
    assert (same - boxes.pixels).abs().mean() < (1e-7 if scale == 1 else 0.004)


def test_a_window_of_scale_1_is_stock_inpainting(studio, boxes):
    method = partial(studio.scaled, *studio.windowed["soediff"], 1.0)
    made = rows.draw(studio, method, boxes, "label", 0)
    assert torch.equal(made, rows.draw(studio, studio.ablation["all"], boxes, "label", 0))
    assert not torch.equal(made, rows.draw(studio, studio.ablation["base"], boxes, "label", 0))


def test_curated_data_are_sorted_by_size(tmp_path):
    write_samples(tmp_path, tmp_path / "cache", "train", 40, 64)
    everything = [s.record for path in shards(tmp_path / "train") for s in read_shard(path)]
    small = [s.record for s in box_pictures.curated(tmp_path / "train", (1 / 8, 1 / 6))]
    assert 0 < len(small) < len(everything)
    extents = [max(t.box[2] - t.box[0], t.box[3] - t.box[1]) for r in small for t in r.objects]
    assert min(extents) >= 1 / 8
    assert max(extents) <= 1 / 6
    none = box_pictures.curated(tmp_path / "train", (1 / 3, 1 / 2))
    assert len(box_pictures.held_out(none, 5, 64, 4)) == 0


@pytest.fixture(scope="module")
def clip(miniature, tmp_path_factory):
    """The folder of a small CLIP with random weights."""
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = CLIPTokenizer.from_pretrained(miniature / "tokenizer")
    sides = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = sides | {"vocab_size": len(tokenizer), "max_position_embeddings": 32}
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    torch.manual_seed(0)
    settings = CLIPConfig(
        text_config=words | ends,
        vision_config=sides | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(settings).save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def test_clip_score_is_the_cosine_of_box_and_prompt(clip, boxes):
    jury = ClipJury(boxes, clip)
    found = jury.scores(boxes.pixels, "label")
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    for row, score in enumerate(found.tolist()):
        left, top, right, bottom = boxes.boxes[row].int().tolist()
        cut = to_pil_image(boxes.pixels[row, :, top:bottom, left:right])
        inputs = processor(images=cut, text=boxes.texts[row][0], return_tensors="pt")
        with torch.no_grad():
            cosine = model(**inputs).logits_per_text.item() / model.logit_scale.exp().item()
        assert score == pytest.approx(100 * max(cosine, 0), abs=1e-3)
    verdict = jury.verdict(boxes.pixels, "label")
    assert verdict["clip_score"] == pytest.approx(found.mean().item())
    assert verdict["fid"] == pytest.approx(0, abs=1e-4)
    with pytest.raises(ValueError, match=r"clip: .* holds no config\.json"):
        ClipJury(boxes, clip / "none")


def test_fid_is_on_inceptions_features_where_its_weights_are_given(clip, boxes, tmp_path, monkeypatch):
    path = tmp_path / "inception.pth"
    with pytest.raises(ValueError, match=r"inception: .* is missing"):
        ClipJury(boxes, clip, path)
    torch.save({}, path)
    with monkeypatch.context() as patched:  # the library makes no network without weights
        patched.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=str(path))
    torch.save(network.state_dict(), path)
    jury = ClipJury(boxes, clip, path)
    left, top, right, bottom = boxes.boxes[2].int().tolist()
    cut = (boxes.pixels[2:3, :, top:bottom, left:right] * 255).round().to(torch.uint8)
    torch.testing.assert_close(jury.features(boxes.pixels)[2:3], network(cut)[0])
    assert jury.real.shape == (6, 2048)


def test_weights_that_are_more_than_weights_are_not_run(clip, boxes, tmp_path):
    torch.save({"code": print}, tmp_path / "inception.pth")
    with pytest.raises(pickle.UnpicklingError, match="print"):
        ClipJury(boxes, clip, tmp_path / "inception.pth")


@pytest.fixture
def soebench_list(tmp_path):
    """A list as SOEBench's, and the folder of its pictures."""

    def entry(label, box, **more):
        (tmp_path / "val").mkdir(exist_ok=True)
        path = f"val/{label}.png"
        colours = np.random.default_rng(len(label)).integers(0, 256, (48, 96, 3), np.uint8)
        Image.fromarray(colours).save(tmp_path / path)
        return {
            "ImageID": path,
            "LabelName": label,
            "size": 0.02,
            **dict(zip(EDGES, box, strict=True)),
        } | more

    entries = [
        entry("dog", (0.5, 0.25, 0.625, 0.4), color="tan"),  # 1/8 by 0.15: 0.137 by area
        entry("person", (0.5, 0.25, 0.625, 0.4), color="red"),
        entry("kite", (0.0, 0.0, 0.3, 0.06)),  # long, and 0.134 by area
        entry("bus", (0.1, 0.1, 0.6, 0.6), color="red"),
    ]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(entries))
    return path


EDGES = ("XMin", "YMin", "XMax", "YMax")


def test_soebenchs_list_is_read_as_its_authors_read_it(soebench_list, clip):
    found = list(box_pictures.soebench(soebench_list, soebench_list.parent, (1 / 8, 1 / 6), 64))
    assert [sample.record.objects[0].label for sample in found] == ["dog", "kite"]
    with Image.open(soebench_list.parent / "val/dog.png") as picture:
        square = np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC))
    read = box_pictures.held_out(found, 9, 64, 4, box_pictures.soebench_crop)
    assert np.array_equal((read.pixels[0] * 255).round().byte().permute(1, 2, 0).numpy(), square)
    assert read.texts == [("a dog", "a tan dog"), ("a kite", "a kite")]
    assert read.boxes.tolist() == [[32, 16, 40, 28], [0, 0, 20, 4]]
    # the box of 8 by 9.6 pixels lies around (36, 20.8), the other of 19.2 by 3.84 around (9.6, 1.92)
    assert read.crops.tolist() == [[31, 16, 41, 26], [-1, -9, 20, 12]]
    cuts = ClipJury(read, clip)._cuts(read.pixels)
    assert torch.equal(cuts[0], read.pixels[0, :, 16:26, 31:41])
    assert [tuple(cut.shape) for cut in cuts] == [(3, 10, 10), (3, 21, 21)]
    assert torch.equal(cuts[1][:, 9:, 1:], read.pixels[1, :, :12, :20])
    assert not cuts[1][:, :9].any()


def test_a_list_that_is_not_soebenchs_is_refused(soebench_list, tmp_path):
    read = partial(box_pictures.soebench, sides=(1 / 8, 1 / 6), side=64)
    with pytest.raises(ValueError, match=r"images: .*none/val/dog.png is missing"):
        next(read(soebench_list, tmp_path / "none"))
    soebench_list.write_text('[{"ImageID": "a.jpg"}]')
    with pytest.raises(ValueError, match=r"no list of SOEBench: .*missing required field `LabelName`"):
        next(read(soebench_list, tmp_path))


def flags_of(config):
    return ["--base", config.base, "--so_lora", config.so_lora, "--tuned_vae", config.tuned_vae]


def test_soebench_is_measured_by_the_command(config, soebench_list, clip, monkeypatch, tmp_path):
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    flags = [*flags_of(config), "--steps", "1", "--more_seeds", "1", "--tables", "scale", "--scales", "2"]
    flags += ["--data", str(soebench_list), "--images", str(soebench_list.parent), "--clip", str(clip)]
    monkeypatch.setattr("sys.argv", ["soediff", *flags])
    soediff.main()
    found = json.loads((tmp_path / "soediff.json").read_text())["metrics"]
    assert {"scale.base.x2.small.clip_score", "scale.base.x2.small.fid"} <= found.keys()
    assert not any("tiny" in name for name in found)


def test_a_run_goes_on_where_it_was_killed(config, monkeypatch, tmp_path):
    monkeypatch.setattr(soediff, "FOLDER", tmp_path)
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    monkeypatch.setattr(soediff, "PROMPTS", ("label",))
    monkeypatch.setattr(soediff, "sampling_ratio", lambda studio, boxes: 1.0)
    flags = [*flags_of(config), "--steps", "1", "--boxes", "4", "--seeds", "1", "--more_seeds", "1"]
    flags += ["--folder", str(tmp_path / "kept"), "--tables", "1, scale", "--scales", "3"]
    measured, drawn = rows.measure, []

    def killed(studio, jury, method, prompt, seeds):
        if len(drawn) == 6:
            raise KeyboardInterrupt
        drawn.append(method)
        return measured(studio, jury, method, prompt, seeds)

    monkeypatch.setattr(rows, "measure", killed)
    monkeypatch.setattr("sys.argv", ["soediff", *flags])
    with pytest.raises(KeyboardInterrupt):
        soediff.main()
    drawn.clear()
    soediff.main()
    assert len(drawn) == 6  # of 12 rows: 4 of Table 1, and 4 of each size
    found, sheet = (
        json.loads((tmp_path / "soediff.json").read_text()),
        (tmp_path / "soediff.png").read_bytes(),
    )
    assert {f"scale.{row}.{size}.accuracy" for size in ("tiny", "small") for row in SCALED} <= set(
        found["metrics"]
    )
    flags[flags.index("--folder") + 1] = str(tmp_path / "anew")
    monkeypatch.setattr(rows, "measure", measured)
    monkeypatch.setattr("sys.argv", ["soediff", *flags])
    soediff.main()
    again = json.loads((tmp_path / "soediff.json").read_text())["metrics"]
    assert again == found["metrics"]
    assert (tmp_path / "soediff.png").read_bytes() == sheet
    monkeypatch.setattr("sys.argv", ["soediff", *flags, "--steps", "2"])
    with pytest.raises(ValueError, match=r"anew was measured with other settings for steps"):
        soediff.main()


SCALED = ("real", "crop_paste.x2", "base.x3", "so_lora.x3", "soediff.x3")


def test_the_command_writes_every_table(config, monkeypatch, tmp_path):
    monkeypatch.setattr(soediff, "FOLDER", tmp_path)
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    flags = [*flags_of(config), "--without_csd", config.without_csd]
    flags += ["--steps", "1", "--boxes", "4", "--seeds", "1", "--tables", "1, 2, 3"]
    flags += ["--others", f"table4.weight_1={config.so_lora}"]
    monkeypatch.setattr("sys.argv", ["soediff", *flags])
    soediff.main()
    found = json.loads((tmp_path / "soediff.json").read_text())["metrics"]
    names = [
        f"table1.{peer}.{prompt}.{value}"
        for peer in ("blended", "base", "crop_paste", "soediff")
        for prompt in ("label", "color_label")
        for value in ("accuracy", "fid")
    ]
    names += [
        f"table3.{row}.{value}"
        for row in ("base", "so_lora", "so_lora_vt", "so_lora_csd", "all")
        for value in ("accuracy", "fid")
    ]
    names += ["table2.large.soediff.accuracy", "table4.weight_1.fid", "table1.real.label.accuracy"]
    assert {*names, "cost.sampling_ratio"} <= set(found)
    assert found["table3.all.fid"] == found["table1.soediff.color_label.fid"]
    assert (tmp_path / "soediff.png").is_file()
    only = ["--tables", "", "--name", "mine", "--others", f"mine.best={config.so_lora}"]
    monkeypatch.setattr("sys.argv", ["soediff", *flags[:-2], *only])
    soediff.main()
    found = json.loads((tmp_path / "mine.json").read_text())
    assert set(found["metrics"]) >= {"mine.best.accuracy", "mine.best.fid", "cost.sampling_ratio"}
    assert not any(name.startswith("table") for name in found["metrics"])
    assert "finesse.benchmarks.soediff --base" in found["command"]
    assert not (tmp_path / "mine.png").exists()
