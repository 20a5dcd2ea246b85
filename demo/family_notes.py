"""The notes beside the example workflows of today's models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .graph_builder import Graph, ModelFile

EDIT = "edit"  # how the names of edit models' workflows begin
DRAWING = """\
Draws *a red toy car* in a small box and leaves every other pixel as it was, with {label}."""
EDITING = """\
Changes what is in a small box as you say and leaves every other pixel as it was, with {label}."""
WINDOW = """\
**Box and window.** Draw the box on the picture in *Inpaint Small Box*. The window around it, *context* \
pixels wide, is sampled at 1024 pixels, the size that the model knows, and *Composite Box* scales it back. \
For a smaller object make *context* smaller."""
PROMPT = """\
**Prompt.** Name the object and what is around it. To replace an object, cover all of it with the box; to \
remove it, name only what is behind it. You can draw more boxes, each with its own text."""
INSTRUCTION = """\
**Instruction.** Say what to change, as you would to a person. The model sees only the window, so name \
things as they appear there."""
WHOLE_WINDOW = """\
If the edit does not take, turn *noise_mask* off: the whole window is then redrawn, and still only the box \
is pasted."""
SETTINGS = {
    "draw_with_flux_fill": """\
**Settings.** Flux Fill wants a guidance of 30 and a cfg of 1, so there is no negative prompt. \
*Differential Diffusion* lets soft masks work.""",
    "edit_with_flux2_klein": f"""\
**Settings.** The distilled model takes 4 steps at cfg 1; for the base model set 20 steps and cfg 5. The \
reference is the latent of the window, so both have the same size and nothing shifts. {WHOLE_WINDOW}""",
    "edit_with_flux_kontext": f"""\
**Settings.** Guidance 2.5 and cfg 1. The reference is the latent of the window, so both have the same \
size and nothing shifts. {WHOLE_WINDOW}""",
    "draw_with_qwen_image": """\
**Settings.** The ControlNet sees the window without the box, by *window* and *window_mask*. 20 steps at \
cfg 2.5; with the Lightning LoRA 4 steps at cfg 1.""",
    "edit_with_qwen_image_edit": f"""\
**Settings.** *positive* and *negative* of *Inpaint Small Box* stay unlinked, because the text encoder \
reads the window. The encoder's *vae* stays unlinked too: it would give the reference another size, which \
shifts the picture. *ReferenceLatent* gives it the size of the window. 20 steps at cfg 4, 40 for the best; \
with the Lightning LoRA 4 steps at cfg 1. Qwen-Image-Edit 2509 works the same. {WHOLE_WINDOW}""",
    "draw_with_z_image": """\
**Settings.** The control patch sees the window without the box, by *window* and *window_mask*. Take \
version 2.1 or newer, also as *lite*; the first version reads no mask. 8 steps at cfg 1.""",
    "draw_with_sd35": """\
**Settings.** Stable Diffusion 3.5 has no inpainting model: the noise mask alone keeps what is around the \
box, so name that in the prompt too.""",
    "draw_with_sdxl_inpainting": """\
**Settings.** Any other inpainting checkpoint of SDXL works as well. A plain one does too, by the noise \
mask.""",
}

HOW = {  # in a few words
    "draw_with_flux_fill": "guidance 30, cfg 1, *DifferentialDiffusion*",
    "draw_with_qwen_image": "an inpainting ControlNet reads the window and its mask",
    "draw_with_sd35": "the noise mask",
    "draw_with_sdxl_inpainting": "an inpainting checkpoint",
    "draw_with_z_image": "*ZImageFunControlnet* reads the window and its mask",
    "edit_with_flux2_klein": "*ReferenceLatent* shows the window, 4 steps",
    "edit_with_flux_kontext": "*ReferenceLatent* shows the window, guidance 2.5",
    "edit_with_qwen_image_edit": "the text encoder reads the window, *ReferenceLatent* shows it",
}
TABLE = ("<!-- families -->", "<!-- /families -->")  # what stands around it in README


def note_of(name: str, label: str, files: Sequence[ModelFile]) -> str:
    """The note of the workflow `name`, in Markdown. label: of its model, files: what it needs."""
    is_edit = name.startswith(EDIT)
    title = f"# {'Edit' if is_edit else 'Draw'} a small object with {label}"
    about = (EDITING if is_edit else DRAWING).format(label=label)
    listed = "**Files.** ComfyUI offers to download those that are missing:\n" + "\n".join(map(_line, files))
    return (
        "\n\n".join([title, about, listed, WINDOW, INSTRUCTION if is_edit else PROMPT, SETTINGS[name]]) + "\n"
    )


def table_of(graphs: Iterable[Graph]) -> str:
    """README's table of workflows, models and files."""
    rows = (
        f"| `{graph.name}` | {graph.label} | {HOW[graph.name]} | "
        + ", ".join(f"[`{file.folder}/{file.name}`]({file.url})" for file in graph.models)
        + " |"
        for graph in sorted(graphs, key=lambda graph: graph.name)
    )
    head = ("| workflow | model | how | files in `ComfyUI/models` |", "|---|---|---|---|")
    return "\n".join([TABLE[0], *head, *rows, TABLE[1]])


def _line(file: ModelFile) -> str:
    return f"- [{file.name}]({file.url}) in `ComfyUI/models/{file.folder}`"
