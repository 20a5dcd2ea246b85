"""*Save Layered Edit* and *Load Layered Edit*: what was learnt of a photo, for another day."""

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
from ...core.lora_files import TEXT_WIDTHS
from ..categories import LAYERS
from ..model_files import ModelFiles, add_folder
from ..types import Conditioning
from .layer_training import text_width

SUFFIX = ".safetensors"
# What Save Layered Edit writes can be loaded, as core has it for LoRAs
FOLDER = add_folder(
    "finesse_layers", folder_paths.models_dir, folder_paths.get_output_directory(), suffixes=(SUFFIX,)
)
EDITS = ModelFiles(
    "edit", FOLDER, "A layered edit is made by Save Layered Edit or by python -m finesse.training.layered."
)


class SaveLayeredEdit(io.ComfyNode):
    """One file with the LoRA and the texts that it belongs to."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSaveLayeredEdit",
            display_name="Save Layered Edit",
            category=LAYERS,
            description=(
                "Saves what Fine-Tune Layers has learnt of a photo, together with the optimised texts, as "
                "one file for Load Layered Edit. It goes to output/finesse_layers."
            ),
            search_aliases=["LayerDiffusion", "save lora", "save embedding", "export edit"],
            inputs=[
                io.LoraModel.Input("lora", tooltip="lora of Fine-Tune Layers."),
                io.Conditioning.Input("positive", tooltip="positive of Optimise Layers."),
                io.String.Input(
                    "filename_prefix",
                    default="edit",
                    tooltip="The file's name, to which a number is added; may begin with subfolders.",
                ),
                io.Conditioning.Input(
                    "object",
                    optional=True,
                    tooltip="The object's text as CLIP Text Encode gives it, for Iterative Guidance.",
                ),
                io.Conditioning.Input(
                    "background", optional=True, tooltip="background of Optimise Layers, to mix it anew."
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
    """The model with an edit's LoRA, and the edit's texts."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseLoadLayeredEdit",
            display_name="Load Layered Edit",
            category=LAYERS,
            description=(
                "Brings back what was learnt of a photo, without learning it again: the model with the LoRA "
                "of the edit, and the optimised texts. Reads files of Save Layered Edit and of "
                "finesse.training.layered, and refuses one that was made for another base model."
            ),
            search_aliases=["LayerDiffusion", "load lora", "load embedding", "import edit"],
            inputs=[
                io.Model.Input("model", tooltip="The model that the edit was made with, as it was loaded."),
                EDITS.combo(tooltip="A file in output/finesse_layers or models/finesse_layers."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Of the LoRA: 1 is as learnt, 0 the plain model.",
                ),
            ],
            outputs=[
                io.Model.Output("model", tooltip="The model with the edit; link it to Iterative Guidance."),
                io.Conditioning.Output("positive", tooltip="The whole edit."),
                io.Conditioning.Output(
                    "object", tooltip="The object's text, for Iterative Guidance; if it was saved."
                ),
                io.Conditioning.Output("background", tooltip="The background alone, if it was saved."),
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
    """What a file holds of a conditioning: its first embedding, and its pooled text if it has one."""
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
    """ValueError when the edit was made with another model."""
    shapes = _layer_shapes(model.model)
    width, own = edit.embeddings[POSITIVE].shape[-1], text_width(model)
    misfit = edit.misfit(shapes)
    if width != own:
        misfit = f"its texts have {_told(width)} a token, and the model reads {_told(own)}"
    elif model.model.diffusion_model.num_classes and POSITIVE + POOLED not in edit.embeddings:
        misfit = "it holds no pooled text, which the model reads besides"
    if misfit:
        name = type(model.model.model_config).__name__
        base = edit.metadata.get("finesse.base", "another model")
        raise ValueError(
            f"edit: {file} was made with {base}, but model is {name}: {misfit}. Load the model that it was "
            "made with, or choose another file."
        )


def _layer_shapes(base: nn.Module) -> dict[str, Sequence[int]]:
    """Shapes of the weights by the layers' names in LoRAs, as the layers compute with them.

    A quantised model's state_dict has the shapes of packed numbers, of which several make a byte.
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
