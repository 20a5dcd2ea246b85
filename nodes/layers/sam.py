"""Runs Segment Anything models from models/sams with transformers' own code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import comfy.model_management
import torch
from torch import Tensor

from ...core.sam.masks import model_input, size_in_model
from ...core.sam.points import Point
from ...core.sam.weights import POSITIONS, PUBLISHED, SamFile, read_sam
from ...core.small_objects.boxes import Box
from ..held_model import LatestModel, held
from ..model_files import ModelFiles, add_folder

SUFFIXES = (".pth", ".safetensors")
FOLDER = add_folder("sams", suffixes=SUFFIXES)  # other packs keep their kinds of models there too
SAMS = ModelFiles("checkpoint", FOLDER, f"Take {PUBLISHED} of Meta's Segment Anything.", SUFFIXES)


def load_sam(name: str) -> Sam:
    """Load the model in the file `name`; the same object until the file changes or ComfyUI unloads it.

    Raises ValueError as `SAMS.path` and `read_sam` do, and for a file whose weights do not fit the model.
    """
    path = SAMS.path(name)
    return LOADED.get(SAMS.fingerprint(name), lambda: _loaded(path))


def _loaded(path: Path) -> Sam:
    try:
        return Sam(read_sam(path), path.name)
    except ValueError as error:
        raise ValueError(f"checkpoint: {error}") from error


class Sam:
    """A model held by ComfyUI. side: pixels of the square that it sees. size: its name, such as ViT-B."""

    def __init__(self, file: SamFile, name: str) -> None:
        # ComfyUI brings transformers with it, but importing this takes seconds
        from transformers import SamConfig, SamModel

        with torch.device("meta"):  # up to 600 million random weights would only be thrown away
            network = SamModel(SamConfig(**file.config))
        expected = {key: tensor.shape for key, tensor in network.state_dict().items()}
        given = {key: tensor.shape for key, tensor in file.tensors.items()}
        wrong = sorted(key for key in expected | given if expected.get(key) != given.get(key))
        if wrong:
            raise ValueError(
                f"{name} is another kind of Segment Anything model: {len(wrong)} weights are missing, "
                f"unknown or of another shape, such as {wrong[0]}; take Meta's {PUBLISHED}"
            )
        weights = {key: tensor.to(torch.float32, copy=True) for key, tensor in file.tensors.items()}
        network.load_state_dict(weights, assign=True)
        self.size, self.side = file.size, file.config["vision_config"]["image_size"]
        self.patcher = held(network.requires_grad_(False))
        cells = file.tensors[POSITIONS][..., 0].numel()
        heads = file.config["vision_config"]["num_attention_heads"]
        self._needed = 3 * 4 * heads * cells**2  # bytes of the attention among all cells, and copies of it

    def embedding(self, picture: Tensor) -> Tensor:
        """Encode a picture (H, W, 3) in [0, 1] for `masks`; the embedding is on the model's device."""
        comfy.model_management.load_models_gpu(
            [self.patcher], memory_required=self._needed, force_full_load=True
        )
        pixels = model_input(picture, self.side).to(self.patcher.load_device)
        with torch.inference_mode():
            return self.patcher.model.network.get_image_embeddings(pixels)

    def masks(
        self,
        embedding: Tensor,
        height: int,
        width: int,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        box: Box | None = None,
        *,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, K, h, w) of masks in a picture of `height` x `width`, and how well each fits (N, K).

        points: (N, P, 2) in the picture's pixels, P for one mask. labels: (N, P), 1 inside the object and 0
        outside it. box: around the object; N is then 1. several: K is 3, whole, part and part of a part,
        for a single point, which says little; else 1.
        """
        rows, columns = size_in_model(height, width, self.side)
        scale = torch.tensor([columns / width, rows / height])
        prompts: dict[str, Tensor] = {}
        if points is not None and labels is not None:
            prompts = {"input_points": (points * scale)[None], "input_labels": labels[None]}
        if box is not None:
            corners = torch.tensor([[box.x, box.y], [box.right, box.bottom]])
            prompts["input_boxes"] = (corners * scale).reshape(1, 1, 4)
        device = embedding.device
        with torch.inference_mode():
            found = self.patcher.model.network(
                image_embeddings=embedding,
                multimask_output=several,
                **{name: tensor.to(device) for name, tensor in prompts.items()},
            )
        return found.pred_masks[0], found.iou_scores[0]


def as_prompt(inside: Sequence[Point], outside: Sequence[Point]) -> tuple[Tensor, Tensor]:
    """Points (1, P, 2) and labels (1, P) for one mask."""
    points = torch.tensor([*inside, *outside], dtype=torch.float32)
    return points[None], torch.tensor([1] * len(inside) + [0] * len(outside))[None]


LOADED: LatestModel[Sam] = LatestModel()
