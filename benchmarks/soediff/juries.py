"""Juries that read what was drawn in a box: the miniature's judge, or CLIP for a real model's pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.transforms.functional import crop, to_pil_image
from transformers import CLIPModel, CLIPProcessor

from ...core.images import to_bytes
from ...miniature.model import judges
from ...miniature.world.things import COLOURS, THINGS
from ..frechet import frechet_distance
from .box_pictures import BoxPictures

CHUNK = 32
PROMPTS = ("label", "color_label")


class BoxJury(ABC):
    """Reads the boxes of N pictures, and compares them with the real ones."""

    score: str  # what `scores` are called

    def __init__(self, boxes: BoxPictures) -> None:
        self.boxes = boxes
        coloured = [colour is not None for _, colour in boxes.things]
        self.coloured = torch.tensor(coloured, device=boxes.pixels.device)
        self.real = self.features(boxes.pixels)

    @abstractmethod
    def features(self, pixels: Tensor) -> Tensor:
        """(N, D) of the boxes in pixels (N, 3, S, S)."""

    @abstractmethod
    def scores(self, pixels: Tensor, prompt: str) -> Tensor:
        """(N,): how well each box shows what was asked for."""

    def verdict(self, pixels: Tensor, prompt: str) -> dict[str, float]:
        """The mean score and fid; with the colour in the prompt, of the boxes that have one."""
        asked = self.coloured if prompt == "color_label" else torch.ones_like(self.coloured)
        fid = frechet_distance(self.features(pixels)[asked], self.real[asked])
        return {self.score: self.scores(pixels, prompt)[asked].mean().item(), "fid": fid}


class MiniatureJury(BoxJury):
    """The miniature's classifier: accuracy is the share of boxes that hold what was asked for."""

    score = "accuracy"

    def __init__(self, boxes: BoxPictures, weights: Path) -> None:
        device = boxes.pixels.device
        path = weights / "judges" / "classifier.safetensors"
        self.classifier = judges.load_judge(judges.Classifier(), path).to(device)
        self.thing = torch.tensor([THINGS.index(label) for label, _ in boxes.things], device=device)
        colours = [COLOURS.index(colour) if colour else -1 for _, colour in boxes.things]
        self.colour = torch.tensor(colours, device=device)
        super().__init__(boxes)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        return torch.cat([self.classifier.features(crops) for crops in self._crops(pixels)])

    @torch.no_grad()
    def scores(self, pixels: Tensor, prompt: str) -> Tensor:
        heads = [self.classifier(crops) for crops in self._crops(pixels)]
        right = torch.cat([found["thing"].argmax(dim=1) for found in heads]) == self.thing
        if prompt == "color_label":
            right &= torch.cat([found["colour"].argmax(dim=1) for found in heads]) == self.colour
        return right.float()

    def _crops(self, pixels: Tensor) -> list[Tensor]:
        pairs = zip(pixels.split(CHUNK), self.boxes.boxes.split(CHUNK), strict=True)
        return [judges.crop(part, boxes) for part, boxes in pairs]


class ClipJury(BoxJury):
    """CLIP-Score (Hessel et al. 2021): 100 * max(0, cosine) of box and prompt.

    FID is on the features of Inception if its weights are given, else on CLIP's.
    """

    score = "clip_score"

    def __init__(self, boxes: BoxPictures, folder: Path, inception: Path | None = None) -> None:
        if not (folder / "config.json").is_file():
            raise ValueError(f"clip: {folder} holds no config.json; give the folder of a CLIP model.")
        self.model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self.model.to(boxes.pixels.device).eval()
        self.processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        self.inception = None if inception is None else load_inception(inception).to(boxes.pixels.device)
        super().__init__(boxes)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        if self.inception is None:
            return self._embeddings(pixels)
        return torch.cat([self.inception(to_bytes(cut[None]))[0] for cut in self._cuts(pixels)])

    @torch.no_grad()
    def scores(self, pixels: Tensor, prompt: str) -> Tensor:
        texts = [text[PROMPTS.index(prompt)] for text in self.boxes.texts]
        inputs = self.processor(text=texts, return_tensors="pt", padding=True, truncation=True)
        hidden = self.model.text_model(**inputs.to(pixels.device)).pooler_output
        text = self.model.text_projection(hidden)
        return 100 * torch.cosine_similarity(self._embeddings(pixels), text).clamp(min=0)

    def _embeddings(self, pixels: Tensor) -> Tensor:
        found = []
        cuts = self._cuts(pixels)
        for start in range(0, len(cuts), CHUNK):
            pictures = [to_pil_image(cut.cpu()) for cut in cuts[start : start + CHUNK]]
            inputs = self.processor(images=pictures, return_tensors="pt").to(pixels.device)
            found.append(self.model.visual_projection(self.model.vision_model(**inputs).pooler_output))
        return torch.cat(found)

    def _cuts(self, pixels: Tensor) -> list[Tensor]:
        """Cut out what is to be seen of each box, (3, height, width) each; black beyond the picture."""
        places = self.boxes.crops.int().tolist()
        return [crop(row, y, x, y2 - y, x2 - x) for row, (x, y, x2, y2) in zip(pixels, places, strict=True)]


def load_inception(path: Path) -> FeatureExtractorInceptionV3:
    """Inception with torch-fidelity's weights; gives (B, 2048) features of uint8 (B, 3, H, W)."""
    if not path.is_file():
        raise ValueError(f"inception: {path} is missing; give weights-inception-2015-12-05-6726825d.pth.")
    torch.load(path, weights_only=True)  # refuses what is more than weights; the library itself would run it
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    )
