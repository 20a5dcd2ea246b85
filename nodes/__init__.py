"""The nodes that a ComfyUI user sees: one file per node, one folder per method, registered here."""

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override

from .checked_inputs import checked
from .factors.apply import ApplyFactor
from .factors.chain import ChainFactor
from .factors.get_maps import GetFactorMaps
from .factors.load import LoadFactor
from .factors.sample_maps import SampleConditionMaps
from .layers.edit_files import LoadLayeredEdit, SaveLayeredEdit
from .layers.fine_tune_layers import FineTuneLayers
from .layers.iterative_guidance import IterativeGuidance
from .layers.optimise_layers import OptimiseLayers
from .layers.reference_background import ReferenceBackground
from .layers.segment_object import SegmentObject
from .layers.split_prompt import SplitEditPrompt
from .maps.convert_palette import ConvertPalette
from .maps.edit_map import EditMap
from .maps.map_to_masks import MapToMasks
from .maps.objects_from_prompt import ObjectsFromPrompt
from .maps.paste_object import PasteObject
from .maps.segment_image import SegmentImage
from .maps.select_seed import SelectSeedByRecall
from .small_objects.boxes_from_mask import BoxesFromMask
from .small_objects.composite_box import CompositeBox
from .small_objects.inpaint_box import InpaintSmallBox
from .small_objects.noise_per_box import BoxNoise
from .small_objects.so_lora import LoadSOLoRA

NODES: tuple[type[io.ComfyNode], ...] = (
    *(InpaintSmallBox, CompositeBox, LoadSOLoRA, BoxNoise, BoxesFromMask),
    *(LoadFactor, ApplyFactor, ObjectsFromPrompt, SelectSeedByRecall, ConvertPalette, MapToMasks),
    *(EditMap, PasteObject, SegmentImage),
    *(ChainFactor, SampleConditionMaps, GetFactorMaps),
    *(SegmentObject, SplitEditPrompt, ReferenceBackground, OptimiseLayers, FineTuneLayers),
    *(IterativeGuidance, SaveLayeredEdit, LoadLayeredEdit),
)


class FinesseExtension(ComfyExtension):
    """Registers the nodes of the pack, with checks of their values against their schemas."""

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [checked(node) for node in NODES]
