"""Puts models of transformers under ComfyUI's memory management."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import comfy.model_management
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP
from torch import nn


def held(network: nn.Module) -> ModelPatcher:
    """Wrap `network` so that ComfyUI loads it to the graphics card and unloads it; it is `.model.network`."""
    return ModelPatcher(
        _Holder(network.eval()),
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


class _Holder(nn.Module):
    """Holds what ComfyUI writes on a model, such as its device, apart from transformers' own attributes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class Held(Protocol):
    """An object whose `patcher` is a `held` model."""

    patcher: ModelPatcher


Model = TypeVar("Model", bound=Held)


class LatestModel(Generic[Model]):
    """Remembers the model that was asked for last, as long as ComfyUI keeps it loaded.

    ComfyUI itself drops a model that nothing else refers to, and between two runs nothing would.
    """

    def __init__(self) -> None:
        self._files = ""
        self._model: Model | None = None

    def get(self, files: str, load: Callable[[], Model]) -> Model:
        """Return the remembered model if it is of these files, else the one that `load` reads now."""
        if self._model is None or self._files != files:
            self._model = None  # free the old one before the next one takes memory
            model = load()
            model.patcher.add_callback(CallbacksMP.ON_DETACH, self._unloaded)
            self._files, self._model = files, model
        return self._model

    def _unloaded(self, patcher: ModelPatcher, is_whole: bool) -> None:
        if not is_whole:  # ComfyUI is about to load it again
            return
        patcher.model.to("meta")  # frees the weights; ComfyUI still refers to the model itself
        if self._model is not None and self._model.patcher is patcher:
            self._files = ""
