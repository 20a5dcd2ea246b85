"""Loads semantic segmentation models of transformers, only from folders on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import numpy as np
import torch
from comfy.model_patcher import ModelPatcher
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from ..held_model import LatestModel, held
from ..model_files import Offer, add_folder

KIND = add_folder("finesse_segmenters")
MOST_LOGITS = 1 << 29  # labels times pixels of one picture at most; 2 GB in float32


class ModelFolders(Offer):
    """Offers subfolders with a config.json and a safetensors file."""

    @override
    def names(self) -> list[str]:
        return sorted(
            {path.name for place in self._places() for path in place.glob("*") if _holds_model(path)}
        )

    @override
    def place(self, own: str) -> Path | None:
        return next(filter(_holds_model, (place / own for place in self._places())), None)

    @override
    def files(self, path: Path) -> list[Path]:
        return sorted(file for file in path.iterdir() if file.suffix in (".json", ".safetensors"))

    def _places(self) -> list[Path]:
        return [Path(place) for place in folder_paths.get_folder_paths(self.kind)]


SEGMENTERS = ModelFolders(
    "segmenter",
    KIND,
    "A segmenter is a folder with config.json, preprocessor_config.json and model.safetensors of a model of "
    "transformers, such as nvidia/segformer-b5-finetuned-ade-640-640 at Hugging Face.",
)


def load_segmenter(name: str) -> LoadedSegmenter:
    """Load the model in the folder `name`; the same object until its files change or ComfyUI unloads it.

    Raises ValueError as `SEGMENTERS.path` does, and for a model that cannot be loaded or used.
    """
    folder = SEGMENTERS.path(name)
    return LOADED.get(SEGMENTERS.fingerprint(name), lambda: _loaded(folder))


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _loaded(folder: Path) -> LoadedSegmenter:
    try:
        return LoadedSegmenter(folder)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        needs_code = "trust_remote_code" in str(error)
        why = "it needs its own code, which is never run; take another model" if needs_code else error
        raise ValueError(f"segmenter: {folder.name} cannot be loaded: {why}") from error


class LoadedSegmenter:
    """A model and its processor. names: its labels' names by number."""

    def __init__(self, folder: Path) -> None:
        # ComfyUI brings transformers with it, but importing these takes seconds
        from transformers import AutoConfig, AutoImageProcessor

        local = {"local_files_only": True, "trust_remote_code": False}
        if not (folder / "preprocessor_config.json").is_file():
            raise ValueError("preprocessor_config.json is missing; put the model's own beside config.json")
        config = AutoConfig.from_pretrained(folder, **local)
        config.use_pretrained_backbone = False  # the file holds the weights; some versions fetch others first
        self.name = folder.name
        self.processor = AutoImageProcessor.from_pretrained(folder, **local)
        network, info = _class_for(config).from_pretrained(
            folder, config=config, use_safetensors=True, output_loading_info=True, **local
        )
        if info["missing_keys"]:
            count = len(info["missing_keys"])
            raise ValueError(
                f"the weights lack {count} that config.json asks for; take both files from the same model"
            )
        self.names = [config.id2label.get(i, f"label {i}") for i in range(max(config.id2label) + 1)]
        self.patcher: ModelPatcher = held(network.float())

    def labels(self, pictures: np.ndarray) -> Tensor:
        """Label every pixel of uint8 pictures (B, H, W, 3): integers (B, H, W) on the CPU."""
        size = pictures.shape[1:3]
        logits = len(self.names) * size[0] * size[1]
        scale = min(1.0, (MOST_LOGITS / logits) ** 0.5)
        small = (max(1, int(size[0] * scale)), max(1, int(size[1] * scale)))
        needed = 4 * 3 * min(logits, MOST_LOGITS)  # bytes of the logits and of copies of them
        comfy.model_management.load_models_gpu([self.patcher], memory_required=needed, force_full_load=True)
        inputs = self.processor(
            images=list(pictures), return_tensors="pt", input_data_format="channels_last"
        ).to(self.patcher.load_device)
        places = inputs.pop("patch_offsets", None)  # set by models that cut a picture into parts
        with torch.inference_mode():
            outputs = self.patcher.model.network(**inputs)
            if places is not None:
                outputs.patch_offsets = places
            found = self.processor.post_process_semantic_segmentation(
                outputs, target_sizes=[small] * len(pictures)
            )
        labels = torch.stack([own.cpu() for own in found])
        if small == size:
            return labels
        # BHW -> B1HW -> BHW; interpolation takes no integers
        return F.interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].to(labels.dtype)


def _class_for(config: Any) -> Any:
    """Auto class that loads models of this kind. ValueError for kinds that do not segment."""
    from transformers import (
        MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING,
        MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING,
        AutoModelForSemanticSegmentation,
        AutoModelForUniversalSegmentation,
    )

    kind = config.model_type
    if type(config) in MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING:
        return AutoModelForSemanticSegmentation
    if type(config) in MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING and kind != "oneformer":
        return AutoModelForUniversalSegmentation
    why = "asks for a text besides the picture" if kind == "oneformer" else "does no semantic segmentation"
    raise ValueError(f"config.json is of a {kind}, which {why}; take a SegFormer, UperNet or Mask2Former")


LOADED: LatestModel[LoadedSegmenter] = LatestModel()
