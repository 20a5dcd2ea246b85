"""*Segment Image* in this process, on small models of random weights that transformers itself wrote."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from finesse.core.maps.foreign_labels import counterparts_of
from finesse.core.maps.palettes import ADE20K, COCO_STUFF
from PIL import Image

LABELS = ("wall", "dog", "tree-merged", "floor, flooring", "sky", "flux capacitor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, comfy):
    """models/finesse_segmenters, with a SegFormer and a Mask2Former in it."""
    import folder_paths
    from finesse.nodes.maps.segmenter import KIND

    place = tmp_path_factory.mktemp("models") / KIND
    place.mkdir()
    before = folder_paths.folder_names_and_paths[KIND]
    folder_paths.folder_names_and_paths[KIND] = ([str(place)], set())
    torch.manual_seed(1)
    _save_segformer(place / "segformer")
    _save_mask2former(place / "mask2former")
    yield place
    folder_paths.folder_names_and_paths[KIND] = before


def _save_segformer(folder):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        id2label=dict(enumerate(LABELS)),
    )
    _scattered(SegformerForSemanticSegmentation(config)).save_pretrained(folder)
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


def _save_mask2former(folder):
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    stages = [f"stage{i}" for i in range(1, 5)]
    swin = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1] * 4,
        num_heads=[1] * 4,
        window_size=4,
        out_features=stages,
    )
    config = Mask2FormerConfig(
        backbone_config=swin,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=8,
        id2label=dict(enumerate(LABELS)),
    )
    _scattered(Mask2FormerForUniversalSegmentation(config)).save_pretrained(folder)
    Mask2FormerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


def _scattered(model):
    """Weights so large that a model of random weights shows several labels."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def segment(folder):
    from finesse.nodes.maps.segment_image import SegmentImage

    def run(image, segmenter="segformer", palette="coco-stuff", **inputs):
        return SegmentImage.execute(image, segmenter, palette, **inputs).args

    return run


def pictures(batch=1, height=50, width=70):
    """Noise in large patches, in whole steps of 1/255."""
    torch.manual_seed(2)
    coarse = torch.rand(batch, 3, 6, 8)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (smooth.movedim(1, -1) * 255).round() / 255


def by_transformers(path, image):
    """The labels (B, H, W) that transformers' own pipeline finds."""
    from transformers import pipeline

    find = pipeline("image-segmentation", str(path), device="cpu")
    labels = np.full(image.shape[:3], -1)
    for own, picture in zip(labels, (image * 255).round().byte().numpy(), strict=True):
        for part in find(Image.fromarray(picture), subtask="semantic"):
            own[np.asarray(part["mask"]) > 0] = LABELS.index(part["label"])
    return labels


@pytest.mark.parametrize("name", ["segformer", "mask2former"])
def test_the_labels_are_those_of_transformers_own_pipeline(segment, folder, name):
    from finesse.nodes.maps.segmenter import load_segmenter

    image = pictures(6)
    found = load_segmenter(name).labels((image * 255).round().byte().numpy())
    expected = by_transformers(folder / name, image)
    assert np.array_equal(found.numpy(), expected)
    assert len(np.unique(expected)) > 2

    map_, report = segment(image, name)
    to = counterparts_of(LABELS, COCO_STUFF)
    colours = COCO_STUFF.encode([COCO_STUFF.index(to[label] or "unlabeled") for label in LABELS])
    assert np.array_equal((map_ * 255).round().byte().numpy(), colours[expected])
    assert report.count("picture ") == 6


def test_a_model_that_cuts_pictures_in_parts_joins_them_again(folder):
    import transformers
    from finesse.nodes.maps.segmenter import load_segmenter

    torch.manual_seed(0)
    config = transformers.EomtConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=8,
        num_queries=6,
        num_blocks=1,
        num_upscale_blocks=1,
        id2label=dict(enumerate(LABELS)),
    )
    model = _scattered(transformers.EomtForUniversalSegmentation(config)).eval()
    size = {"shortest_edge": 64, "longest_edge": None}
    processor = transformers.EomtImageProcessor(size=size, do_split_image=True)
    for part in (model, processor):
        part.save_pretrained(folder / "eomt")
    image = (pictures(3) * 255).round().byte().numpy()
    found = load_segmenter("eomt").labels(image)
    shutil.rmtree(folder / "eomt")

    # the recipe of transformers' page on EoMT
    for picture, labels in zip(image, found, strict=True):
        inputs = processor(images=Image.fromarray(picture), return_tensors="pt")
        places = inputs.pop("patch_offsets")
        with torch.no_grad():
            outputs = model(**inputs)
        outputs.patch_offsets = places
        assert len(places) > 1
        (expected,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[picture.shape[:2]])
        assert (labels == expected).float().mean() > 0.999


def test_what_the_palette_lacks_is_told_and_takes_the_nearest_label(segment, folder):
    image = pictures(4)
    map_, report = segment(image, palette="ade20k")
    labels = ADE20K.decode((map_ * 255).round().byte().numpy())
    expected = by_transformers(folder / "segformer", image)
    lost = LABELS.index("flux capacitor")
    assert (expected == lost).any()
    names = ["wall", "animal", "tree", "floor", "sky"]
    for number, name in enumerate(names):
        assert (labels[expected == number] == ADE20K.index(name)).all(), name
    assert {ADE20K.labels[i] for i in np.unique(labels)} <= set(names)
    assert "flux capacitor (" in report
    assert "has no counterpart: filled with the nearest label" in report


def test_unlabeled_takes_what_has_no_counterpart_where_the_palette_has_it(segment):
    _, report = segment(pictures(4))
    assert "has no counterpart: became unlabeled" in report


def test_a_palette_of_ones_own(segment):
    colours = {"wall": "#100000", "tree": "#200000", "background": "#300000"}
    map_, _ = segment(pictures(4), palette="custom", custom_palette=json.dumps(colours))
    assert set(np.unique((map_ * 255).round())) <= {0, 16, 32, 48}


def test_a_batch_or_a_fourth_channel_changes_no_map(segment):
    image = pictures(5)
    together, _ = segment(image)
    assert torch.equal(together, torch.cat([segment(picture[None])[0] for picture in image]))
    assert torch.equal(segment(torch.cat([image, image[..., :1]], -1))[0], together)  # a fourth channel


def test_a_very_large_picture_is_segmented_smaller(segment, monkeypatch):
    from finesse.nodes.maps import segmenter

    whole, _ = segment(pictures())
    monkeypatch.setattr(segmenter, "MOST_LOGITS", len(LABELS) * 50 * 70 // 4)
    small, _ = segment(pictures())
    assert small.shape == whole.shape
    assert (small == whole).float().mean() > 0.8


def test_a_second_run_does_not_load_again_and_a_changed_file_does(segment, folder):
    from finesse.nodes.maps.segmenter import load_segmenter

    shutil.copytree(folder / "segformer", folder / "copy")
    first = load_segmenter("copy")
    assert load_segmenter("copy") is first
    config = folder / "copy" / "config.json"
    config.write_text(config.read_text().replace('"dog"', '"cat"'))
    assert load_segmenter("copy").names[1] == "cat"
    shutil.rmtree(folder / "copy")


def test_comfyuis_memory_management_holds_the_model(segment):
    import comfy.model_management as memory
    from finesse.nodes.maps.segmenter import load_segmenter

    segment(pictures())
    patcher = load_segmenter("segformer").patcher
    assert any(loaded.model is patcher for loaded in memory.current_loaded_models)
    memory.unload_all_models()
    assert not any(loaded.model is patcher for loaded in memory.current_loaded_models)
    assert load_segmenter("segformer").patcher is not patcher  # nothing is kept that ComfyUI has unloaded
    assert torch.isfinite(segment(pictures())[0]).all()


def test_an_interrupt_stops_it(segment):
    import comfy.model_management as memory

    memory.interrupt_current_processing()
    with pytest.raises(memory.InterruptProcessingException):
        segment(pictures())
    segment(pictures())


# What may lie in the folder


def test_folders_with_a_model_are_listed(folder):
    from finesse.nodes.maps.segmenter import SEGMENTERS

    (folder / "empty").mkdir()
    (folder / "pickled").mkdir()
    shutil.copy(folder / "segformer" / "config.json", folder / "pickled")
    (folder / "pickled" / "pytorch_model.bin").write_bytes(b"")
    assert SEGMENTERS.names() == ["mask2former", "segformer"]
    shutil.rmtree(folder / "empty")
    shutil.rmtree(folder / "pickled")


def spoiled(folder, change):
    shutil.rmtree(folder / "spoiled", ignore_errors=True)
    change(shutil.copytree(folder / "segformer", folder / "spoiled"))
    return "spoiled"


def _without_processor(path):
    (path / "preprocessor_config.json").unlink()


def _pickled(path):
    from safetensors.torch import load_file

    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    (path / "model.safetensors").rename(path / "other.safetensors")


def _of_a_text_model(path):
    (path / "config.json").write_text('{"model_type": "bert"}')


def _with_code(path):
    code = {"AutoConfig": "code.Config", "AutoModelForSemanticSegmentation": "code.Model"}
    (path / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": code}))
    (path / "code.py").write_text(f"open({str(path / 'ran')!r}, 'w')")


def _cut_short(path):
    whole = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def _of_another_model(path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, path / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_of_another_model, r"spoiled cannot be loaded: the weights lack \d+ that config.json asks for"),
        (_without_processor, "spoiled cannot be loaded: preprocessor_config.json is missing; put"),
        (_pickled, "spoiled cannot be loaded: .*no file named model.safetensors"),
        (_of_a_text_model, "config.json is of a bert, which does no semantic segmentation"),
        (_with_code, "spoiled cannot be loaded: it needs its own code, which is never run"),
        (_cut_short, "spoiled cannot be loaded: "),
    ],
)
def test_a_folder_without_a_usable_model_is_refused(segment, folder, change, said):
    with pytest.raises(ValueError, match=said):
        segment(pictures(), spoiled(folder, change))
    assert not (folder / "spoiled" / "ran").exists()
    shutil.rmtree(folder / "spoiled")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../elsewhere", "segmenter: '../elsewhere' is not in "),
        ("/etc", "segmenter: '/etc' is not in "),
        ("", "segmenter: nothing is chosen from .*finesse_segmenters"),
        ("absent", "segmenter: 'absent' is not in .*finesse_segmenters .* a folder with config.json, "),
    ],
)
def test_a_name_that_is_none_is_refused_before_the_run_too(segment, name, said):
    from finesse.nodes.maps.segment_image import SegmentImage

    with pytest.raises(ValueError, match=said) as refused:
        segment(pictures(), name)
    assert f"segmenter: {SegmentImage.validate_inputs(name)}" == str(refused.value)
    assert SegmentImage.validate_inputs("segformer") is True


def test_a_palette_without_any_of_the_labels_is_refused(segment):
    with pytest.raises(ValueError, match=r"palette custom has none of the labels of segformer \(wall, dog"):
        segment(pictures(), palette="custom", custom_palette='{"spoon": "#ff0000"}')
