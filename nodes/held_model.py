"""Models of transformers in the hands of ComfyUI's memory management."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import comfy.model_management
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP
from torch import nn


def held(network: nn.Module) -> ModelPatcher:
    """Loads to the graphics card and goes off it as ComfyUI decides; `.model.network` is the network."""
    return ModelPatcher(
        _Holder(network.eval()),
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


class _Holder(nn.Module):
    """Keeps what ComfyUI writes on a model, such as its device, off transformers' own attributes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class Held(Protocol):
    """What has a model that is `held`."""

    patcher: ModelPatcher


Model = TypeVar("Model", bound=Held)


class LatestModel(Generic[Model]):
    """The model of a kind that was asked for last, as long as ComfyUI keeps it loaded.

    ComfyUI itself holds a model only as long as somebody else does, and between two runs nobody would.
    """

    def __init__(self) -> None:
        self._files = ""
        self._model: Model | None = None

    def get(self, files: str, load: Callable[[], Model]) -> Model:
        """The model of the files with this fingerprint, else the one that `load` reads now."""
        if self._model is None or self._files != files:
            self._model = None  # goes before the next one takes memory
            model = load()
            model.patcher.add_callback(CallbacksMP.ON_DETACH, self._unloaded)
            self._files, self._model = files, model
        return self._model

    def _unloaded(self, patcher: ModelPatcher, is_whole: bool) -> None:
        if not is_whole:  # ComfyUI is about to load it again
            return
        patcher.model.to("meta")  # the weights; ComfyUI still has the model itself in its hands
        if self._model is not None and self._model.patcher is patcher:
            self._files = ""
