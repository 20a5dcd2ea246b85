"""*Split Edit Prompt*: what a target sentence says of the subject, and what of its surroundings."""

from __future__ import annotations

from comfy_api.latest import io, ui
from typing_extensions import override

from ...core.layers.split_prompt import split_edit_prompt
from ..categories import LAYERS
from ..progress_text import show_text

SHOWN = 80  # characters of a prompt in a message


class SplitEditPrompt(io.ComfyNode):
    """A sentence as two texts that the user sees and can overwrite."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSplitEditPrompt",
            display_name="Split Edit Prompt",
            category=LAYERS,
            description=(
                "Splits the sentence that describes the edited picture into a text for its subject and one "
                "for its background, as LayerDiffusion needs them. Shows both; write your own into object or "
                "background to correct one."
            ),
            search_aliases=[
                "LayerDiffusion",
                "target prompt",
                "object text",
                "background text",
                "foreground",
            ],
            inputs=[
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="What the edited picture shows, in one sentence: a dog jumping in a forest.",
                ),
                io.String.Input(
                    "object",
                    optional=True,
                    default="",
                    tooltip="Takes the place of the object text found in the prompt, if not empty.",
                ),
                io.String.Input(
                    "background",
                    optional=True,
                    default="",
                    tooltip="Takes the place of the background text found in the prompt, if not empty.",
                ),
            ],
            outputs=[
                io.String.Output("object", tooltip="The subject and what it does: a dog jumping."),
                io.String.Output("background", tooltip="Its surroundings: a forest. Empty if none is named."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def execute(cls, prompt: str, object: str = "", background: str = "") -> io.NodeOutput:
        found = split_edit_prompt(prompt)
        subject = object.strip() or found.object
        scene = background.strip() or found.background
        if not subject:
            shown = prompt if len(prompt) <= SHOWN else f"{prompt[:SHOWN]}..."
            raise ValueError(
                f"prompt names only a background, got {shown!r}; name a subject, or write it into object."
            )
        missing = "none found; write it into background or into the prompt, as in 'a dog in a forest'"
        text = f"object: {subject}\nbackground: {scene or missing}"
        show_text(cls, text)
        return io.NodeOutput(subject, scene, ui=ui.PreviewText(text))
