"""What a ComfyUI user sees: one file per method, registered here."""

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from .box_noise import BoxNoise
from .condition_maps import SampleConditionMaps
from .edit_prompt import SplitEditPrompt
from .factor_chain import ChainFactor
from .factor_maps import GetFactorMaps
from .factors import ApplyFactor, LoadFactor
from .fine_tune_layers import FineTuneLayers
from .iterative_guidance import IterativeGuidance
from .layered_edit import LoadLayeredEdit, SaveLayeredEdit
from .map_edit import EditMap
from .maps import ConvertPalette, MapToMasks
from .optimise_layers import OptimiseLayers
from .paste_object import PasteObject
from .prompt_objects import ObjectsFromPrompt
from .reference_background import ReferenceBackground
from .seed_selection import SelectSeedByRecall
from .segment_image import SegmentImage
from .segment_object import SegmentObject
from .small_object import CompositeBox, InpaintSmallBox
from .so_lora import LoadSOLoRA


class FinesseExtension(ComfyExtension):
    """The nodes of the pack."""

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            *(InpaintSmallBox, CompositeBox, LoadSOLoRA, BoxNoise),
            *(LoadFactor, ApplyFactor, ObjectsFromPrompt, SelectSeedByRecall, ConvertPalette, MapToMasks),
            *(EditMap, PasteObject, SegmentImage),
            *(ChainFactor, SampleConditionMaps, GetFactorMaps),
            *(SegmentObject, SplitEditPrompt, ReferenceBackground, OptimiseLayers, FineTuneLayers),
            *(IterativeGuidance, SaveLayeredEdit, LoadLayeredEdit),
        ]
