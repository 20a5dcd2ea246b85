"""*Objects from Prompt*: finds the labels of a palette that a prompt names, to rank maps by."""

from __future__ import annotations

from comfy_api.latest import io, ui
from typing_extensions import override

from ...core.maps.prompt_objects import labels_from, objects_in
from ..categories import CONDITION_MAPS
from ..progress_text import show_text
from .palette_input import chosen_palette, custom_palette_input, palette_input

SHOWN = 80  # most characters of a prompt in a message


class ObjectsFromPrompt(io.ComfyNode):
    """Lists the objects of a prompt; the user sees the list and can overwrite it."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseObjectsFromPrompt",
            display_name="Objects from Prompt",
            category=CONDITION_MAPS,
            description=(
                "Finds the objects that a prompt asks for and lists them as labels of a palette, for "
                "Select Seed by Recall. Understands labels, plurals and common words, such as man for "
                "person. Shows the list; to correct it, write your own into objects."
            ),
            search_aliases=["object list", "nouns", "labels", "classes", "recall", "FG-DM"],
            inputs=[
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="The prompt that the maps are made from, typed or linked.",
                ),
                palette_input(
                    tooltip="The palette that the maps are painted in; its labels count as objects."
                ),
                io.String.Input(
                    "objects",
                    optional=True,
                    default="",
                    tooltip=(
                        "Replaces the list found in the prompt, unless empty: labels of the palette or "
                        "common words for them, separated by commas."
                    ),
                ),
                custom_palette_input(),
            ],
            outputs=[
                io.String.Output("objects", tooltip="Labels of the palette, separated by commas."),
                io.Int.Output("count", tooltip="How many different objects the list names."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def execute(cls, prompt: str, palette: str, objects: str = "", custom_palette: str = "") -> io.NodeOutput:
        chosen = chosen_palette(palette, custom_palette)
        own = [chosen.labels[index] for index in labels_from(objects, chosen)]
        found = own or objects_in(prompt, chosen)
        if not found:
            # an empty list would be overlooked among many prompts, and other nodes read it as all labels
            shown = prompt if len(prompt) <= SHOWN else f"{prompt[:SHOWN]}..."
            raise ValueError(
                f"prompt names no object that the palette {chosen.name} knows, got {shown!r}; name one "
                "there, write labels into objects, or choose another palette."
            )
        text = ", ".join(found)
        show_text(cls, text)
        return io.NodeOutput(text, len(found), ui=ui.PreviewText(text))
