"""*Save Layered Edit* and *Load Layered Edit*: store what was learnt from a photo, and bring it back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.sd
import folder_paths
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor, nn
from typing_extensions import override

from ...core.files import confined
from ...core.layers.files import BACKGROUND, OBJECT, POOLED, POSITIVE, LayeredEdit, read_edit, write_edit
from ...core.lora_files import TEXT_WIDTHS, misfit
from ..categories import LAYERS
from ..model_files import ModelFiles, add_folder
from ..types import Conditioning
from .layer_training import text_width

SUFFIX = ".safetensors"
# Load Layered Edit also finds what Save Layered Edit writes, as ComfyUI's loader finds saved LoRAs
FOLDER = add_folder(
    "finesse_layers", folder_paths.models_dir, folder_paths.get_output_directory(), suffixes=(SUFFIX,)
)
EDITS = ModelFiles(
    "edit", FOLDER, "A layered edit is made by Save Layered Edit or by python -m finesse.training.layered."
)


class SaveLayeredEdit(io.ComfyNode):
    """Writes one file with the LoRA and the texts that it belongs to."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSaveLayeredEdit",
            display_name="Save Layered Edit",
            category=LAYERS,
            description=(
                "Saves what Fine-Tune Layers has learnt from a photo, together with the optimised texts, "
                "as one file for Load Layered Edit. The file goes to output/finesse_layers."
            ),
            search_aliases=["LayerDiffusion", "save lora", "save embedding", "export edit"],
            inputs=[
                io.LoraModel.Input("lora", tooltip="The lora that Fine-Tune Layers gives."),
                io.Conditioning.Input("positive", tooltip="The positive that Optimise Layers gives."),
                io.String.Input(
                    "filename_prefix",
                    default="edit",
                    tooltip="Name of the file, to which a number is added; it may begin with subfolders.",
                ),
                io.Conditioning.Input(
                    "object",
                    optional=True,
                    tooltip="The object's text from CLIP Text Encode, saved for Iterative Guidance.",
                ),
                io.Conditioning.Input(
                    "background",
                    optional=True,
                    tooltip="The background that Optimise Layers gives, to mix it in another share later.",
                ),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    @override
    def execute(
        cls,
        lora: dict[str, Tensor],
        positive: Conditioning,
        filename_prefix: str,
        object: Conditioning | None = None,
        background: Conditioning | None = None,
    ) -> io.NodeOutput:
        folder = _output_folder()
        try:
            name = confined(filename_prefix, folder).relative_to(folder).as_posix()
        except ValueError as error:
            raise ValueError(f"filename_prefix: {error}") from error
        given = {POSITIVE: positive, OBJECT: object, BACKGROUND: background}
        embeddings: dict[str, Tensor] = {}
        for key, text in given.items():
            embeddings |= {} if text is None else _as_tensors(key, text)
        place, name, counter, _, _ = folder_paths.get_save_image_path(name, str(folder))
        path = Path(place) / f"{name}_{counter:05}_{SUFFIX}"
        write_edit(path, LayeredEdit(lora, embeddings))
        return io.NodeOutput(ui=ui.PreviewText(f"saved as {path.relative_to(folder).as_posix()}"))


class LoadLayeredEdit(io.ComfyNode):
    """Gives the model with an edit's LoRA, and the edit's texts."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseLoadLayeredEdit",
            display_name="Load Layered Edit",
            category=LAYERS,
            description=(
                "Brings back what was learnt from a photo, without learning it again: the model with the "
                "LoRA of the edit, and the optimised texts. Reads files of Save Layered Edit and of "
                "finesse.training.layered, and refuses one that was made for another base model."
            ),
            search_aliases=["LayerDiffusion", "load lora", "load embedding", "import edit"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="The base model that the edit was made with, straight from its loader."
                ),
                EDITS.combo(tooltip="A file in output/finesse_layers or models/finesse_layers."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Strength of the LoRA: 1 is as learnt, 0 is the plain model.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    "model", tooltip="The model with the edit's LoRA; link it to Iterative Guidance."
                ),
                io.Conditioning.Output(
                    "positive", tooltip="The text of the whole edit, for Iterative Guidance."
                ),
                io.Conditioning.Output(
                    "object", tooltip="The object's text, if it was saved; link it to Iterative Guidance."
                ),
                io.Conditioning.Output("background", tooltip="The background's text, if it was saved."),
            ],
        )

    @classmethod
    @override
    def validate_inputs(cls, edit: str | None = None) -> bool | str:
        return EDITS.missing(edit) or True

    @classmethod
    @override
    def fingerprint_inputs(cls, edit: str | None = None, **_: Any) -> str:
        return EDITS.fingerprint(edit)

    @classmethod
    @override
    def execute(cls, model: ModelPatcher, edit: str, strength: float) -> io.NodeOutput:
        found = read_edit(EDITS.path(edit))
        _check_fit(model, found, edit)
        patched = model.clone()
        if strength:
            patched, _ = comfy.sd.load_lora_for_models(model, None, dict(found.lora), strength, 0.0)
        return io.NodeOutput(
            patched, *(_as_text(found, name, edit) for name in (POSITIVE, OBJECT, BACKGROUND))
        )


def _as_tensors(name: str, text: Conditioning) -> dict[str, Tensor]:
    """Tensors that store a conditioning in a file: its first embedding, and its pooled text if it has one."""
    if not text:
        source = "the encoded text of the object" if name == OBJECT else f"{name} of Optimise Layers"
        raise ValueError(f"{name} holds no prompt; link {source}.")
    embedding, values = text[0]
    pooled = values.get("pooled_output")
    tensors = {name: embedding, **({} if pooled is None else {name + POOLED: pooled})}
    return {key: tensor.clone() for key, tensor in tensors.items()}  # two texts may be one


def _as_text(edit: LayeredEdit, name: str, file: str) -> Conditioning | ExecutionBlocker:
    if name not in edit.embeddings:
        return ExecutionBlocker(
            f"Load Layered Edit: {name} is linked but {file} holds none; save the edit with {name} linked, "
            "or link another prompt."
        )
    pooled = edit.embeddings.get(name + POOLED)
    return [[edit.embeddings[name], {} if pooled is None else {"pooled_output": pooled}]]


def _check_fit(model: ModelPatcher, edit: LayeredEdit, file: str) -> None:
    """Raise ValueError when the edit was made with another model."""
    shapes = _layer_shapes(model.model)
    width, own = edit.embeddings[POSITIVE].shape[-1], text_width(model)
    reason = misfit(edit.lora, shapes)
    if width != own:
        reason = f"its texts have {_told(width)} a token, and the model reads {_told(own)}"
    elif model.model.diffusion_model.num_classes and POSITIVE + POOLED not in edit.embeddings:
        reason = "it holds no pooled text, which the model also reads"
    if reason:
        name = type(model.model.model_config).__name__
        base = edit.metadata.get("finesse.base", "another model")
        raise ValueError(
            f"edit: {file} was made with {base}, but model is {name}: {reason}. Load the model that it was "
            "made with, or choose another file."
        )


def _layer_shapes(base: nn.Module) -> dict[str, Sequence[int]]:
    """Map each layer's name in LoRAs to the shape of its weight, as the layer computes with it.

    The state_dict of a quantised model has other shapes, since several numbers are packed into a byte.
    """
    stored, modules = base.state_dict(), dict(base.named_modules())

    def shape_of(key: str) -> Sequence[int]:
        place, _, name = key.rpartition(".")
        layer = modules.get(place)
        if name == "weight" and hasattr(layer, "out_features"):
            return layer.out_features, layer.in_features
        return getattr(layer, name, stored[key]).shape

    keys = comfy.lora.model_lora_keys_unet(base, {})
    return {layer: shape_of(key) for layer, key in keys.items() if key in stored}


def _told(width: int | None) -> str:
    base = f" ({TEXT_WIDTHS[width]})" if width in TEXT_WIDTHS else ""
    return "no numbers" if width is None else f"{width} numbers{base}"


def _output_folder() -> Path:
    return Path(folder_paths.get_output_directory()).resolve() / FOLDER
