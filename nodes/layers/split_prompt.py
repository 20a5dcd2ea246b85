"""*Split Edit Prompt*: splits a target sentence into the subject's text and the background's."""

from __future__ import annotations

from comfy_api.latest import io, ui
from typing_extensions import override

from ...core.layers.split_prompt import split_edit_prompt
from ..categories import LAYERS
from ..progress_text import show_text

SHOWN = 80  # most characters of a prompt in a message


class SplitEditPrompt(io.ComfyNode):
    """Splits a sentence into two texts, which the user sees and can overwrite."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSplitEditPrompt",
            display_name="Split Edit Prompt",
            category=LAYERS,
            description=(
                "Splits the sentence that describes the edited picture into a text for its subject and a "
                "text for its background, as LayerDiffusion needs them. Shows both; to correct one, "
                "write your own into object or background."
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
                    tooltip=(
                        "What the edited picture shows, in one sentence, such as a dog jumping in a forest."
                    ),
                ),
                io.String.Input(
                    "object",
                    optional=True,
                    default="",
                    tooltip="Replaces the object's text found in the prompt, unless empty.",
                ),
                io.String.Input(
                    "background",
                    optional=True,
                    default="",
                    tooltip="Replaces the background's text found in the prompt, unless empty.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "object", tooltip="Text of the subject and what it does, such as a dog jumping."
                ),
                io.String.Output(
                    "background",
                    tooltip="Text of its surroundings, such as a forest; empty if the prompt names none.",
                ),
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
