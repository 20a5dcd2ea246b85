"""A small OpenImages, and a BLIP of random weights that answers all the same."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from finesse.training.data.box_selection import select_openimages
from PIL import Image
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipImageProcessor,
    BlipProcessor,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
)

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
HEADER += "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
CLASSES = "/m/dog,Dog\n/m/apple,Apple\n/m/man,Man\n/m/eye,Human eye\n/m/light,Traffic light\n"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "what", "color", "is", "the", "?"]
WORDS += ["dog", "apple", "traffic", "light", "red", "green", "blue", "brown", "grey", "and"]


@pytest.fixture
def csv_row():
    """A row of OpenImages' boxes."""

    def row(image, label, left, right, top, bottom, flags="0,0,0,0,0"):
        return f"{image},xclick,{label},1,{left},{right},{top},{bottom},{flags}"

    return row


@pytest.fixture
def write_openimages(tmp_path):
    """Writes rows of boxes and the classes; returns both paths."""

    def write(rows, header=HEADER, classes=CLASSES):
        boxes, names = tmp_path / "boxes.csv", tmp_path / "classes.csv"
        boxes.write_text("\n".join([header, *rows]) + "\n")
        names.write_text(classes)
        return boxes, names

    return write


@pytest.fixture
def small_set(tmp_path, write_openimages, csv_row):
    """Eleven pictures of 64 x 48 pixels, two small objects each, selected for training."""
    images, rows = tmp_path / "images", []
    images.mkdir()
    random = np.random.default_rng(0)
    for index in range(11):
        name = f"{index:016x}"
        Image.fromarray(random.integers(0, 255, (48, 64, 3), np.uint8)).save(images / f"{name}.jpg")
        rows.append(csv_row(name, "/m/dog", 0.1, 0.2, 0.1, 0.2))
        rows.append(
            csv_row(name, ("/m/light", "/m/apple")[index % 2], 0.5, 0.6, 0.25 + index / 20, 0.35 + index / 20)
        )
    work = tmp_path / "set" / "train"
    select_openimages(*write_openimages(rows), work / "objects.parquet", "train")
    return SimpleNamespace(
        images=images, folder=tmp_path / "set", selection=work / "objects.parquet", colours=work / "colours"
    )


@pytest.fixture(scope="session")
def blip_folder(tmp_path_factory):
    """A saved BLIP for question answering, a layer each, whose random weights depend much on their input."""
    folder = tmp_path_factory.mktemp("blip") / "tiny-vqa"
    vocabulary = folder.with_name("vocab.txt")
    vocabulary.write_text("\n".join(WORDS))
    special = {"additional_special_tokens": ["[DEC]", "[ENC]"]}
    tokenizer = BertTokenizerFast(str(vocabulary), do_lower_case=True, **special)
    common = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": 5, "sep_token_id": 3, "eos_token_id": 3}
    text = {
        **common,
        **ids,
        "vocab_size": len(WORDS),
        "encoder_hidden_size": 16,
        "max_position_embeddings": 32,
    }
    vision = {**common, "image_size": 32, "patch_size": 16}
    config = BlipConfig(
        text_config={**text, "initializer_range": 1.0},
        vision_config={**vision, "initializer_range": 1.0},
        projection_dim=16,
    )
    torch.manual_seed(1)
    model = BlipForQuestionAnswering(config)
    bias = torch.full((len(WORDS),), -100.0)  # it answers in colours
    bias[[WORDS.index(word) for word in ("red", "green", "blue", "grey", "and", "[SEP]")]] = 0.0
    bias[WORDS.index("[SEP]")] = 4.0
    model.text_decoder.cls.predictions.bias.data.copy_(bias)
    model.save_pretrained(folder)
    processor = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(processor, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dpt_folder(tmp_path_factory):
    """A saved DPT of four narrow layers, whose random depth depends on the picture."""
    folder = tmp_path_factory.mktemp("dpt") / "tiny-dpt"
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    model = DPTForDepthEstimation(config)
    model.head.head[4].bias.data.fill_(1.0)  # its last layer cuts off what is below 0
    model.save_pretrained(folder)
    DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
