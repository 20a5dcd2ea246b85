"""What a ComfyUI user sees: one file per method, registered here."""

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from .box_noise import BoxNoise
from .small_object import CompositeBox, InpaintSmallBox
from .so_lora import LoadSOLoRA


class FinesseExtension(ComfyExtension):
    """The nodes of the pack."""

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [InpaintSmallBox, CompositeBox, LoadSOLoRA, BoxNoise]
