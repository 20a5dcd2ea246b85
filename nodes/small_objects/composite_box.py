"""*Composite Box*: pastes what was sampled in a small box back into its picture."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.small_objects.colour_match import DEFAULT_MATCH, MATCHES
from ...core.small_objects.compositing import composite
from ..categories import SMALL_OBJECTS
from ..types import FinesseRegion


class CompositeBox(io.ComfyNode):
    """Pastes the edited window back into the original image."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseCompositeBox",
            display_name="Composite Box",
            category=SMALL_OBJECTS,
            description=(
                "Pastes the decoded edit of Inpaint Small Box into the original picture. Every pixel outside "
                "the region stays exactly as it was."
            ),
            search_aliases=["stitch", "paste back", "blend", "uncrop", "colour match", "color match"],
            inputs=[
                # The first picture is what the page hands on when the node is bypassed
                io.Image.Input("edited", tooltip="The decoded edit, as it comes from VAE Decode."),
                io.Image.Input("original", tooltip="The picture that went into Inpaint Small Box."),
                FinesseRegion.Input("region", tooltip="The region from Inpaint Small Box."),
                io.Int.Input(
                    "feather",
                    default=4,
                    min=0,
                    max=256,
                    tooltip=(
                        "Width in pixels over which the edit fades in, inside the box only; 0 is a hard edge."
                    ),
                ),
                io.Combo.Input(
                    "colour_match",
                    options=list(MATCHES),
                    default=DEFAULT_MATCH,
                    tooltip=(
                        "How to undo the colour shift of VAE and sampler, which is measured around the box. "
                        "adaptive corrects each pixel by its colour and place; ring corrects the brightness "
                        "and contrast of the whole edit; none changes nothing."
                    ),
                ),
            ],
            outputs=[io.Image.Output("image", tooltip="The original with the edit in its box.")],
        )

    @classmethod
    @override
    def execute(
        cls, edited: Tensor, original: Tensor, region: Any, feather: int, colour_match: str
    ) -> io.NodeOutput:
        return io.NodeOutput(composite(original, edited, region, feather, colour_match))
