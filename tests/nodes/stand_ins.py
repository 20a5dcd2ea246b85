"""Stand-ins for models, and the inputs that the tests of the nodes share."""

import torch
import torch.nn.functional as F

SETTINGS = {"snap": True, "grow": 0, "noise_mask": True, "context": 0}
BOX = {"x": 16, "y": 24, "width": 24, "height": 16}


class PoolingVAE:
    """Stands for a VAE: the mean of every cell, its own scale."""

    def __init__(self, scale=8):
        self.scale = scale
        self.seen = []

    def spacial_compression_encode(self):
        return self.scale

    def encode(self, pixels):
        self.seen.append(pixels.clone())
        return F.avg_pool2d(pixels[..., :3].movedim(-1, 1), self.scale)


class WordCLIP:
    """Stands for a CLIP: one token, as long as the text."""

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, tokens):
        return [[torch.full((1, 1, 4), float(len(tokens))), {"pooled_output": None, "text": tokens}]]


def cond(**values):
    return [[torch.zeros(1, 1, 4), values]]


def elements(*boxes):
    return [{"type": "obj", "bbox": list(bbox), "desc": text} for bbox, text in boxes]


FIVE = elements(
    ((0, 0, 250, 250), "a red car"),
    ((0, 500, 250, 750), "a dog"),
    ((500, 0, 750, 250), "a clock"),
    ((500, 500, 1000, 1000), "a pizza"),
    ((625, 625, 875, 875), "a cat"),
)
