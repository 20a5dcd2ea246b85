"""*Load SO-LoRA*: loads weights that teach an inpainting model to draw small objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.sd
import comfy.utils
import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from typing_extensions import override

from ...core.files import read_tensors
from ...core.lora_files import LoraFile, misfit, read_lora
from ..categories import SMALL_OBJECTS
from ..model_files import ModelFiles
from ..model_grid import reads_mask

NO_VAE = "none"
LORAS = ModelFiles(
    "lora",
    "loras",
    (
        "A SO-LoRA is made by python -m finesse.training.so_lora, and works only with the model that it "
        "was trained on."
    ),
)
VAES = ModelFiles(
    "tuned_vae",
    "vae",
    "A VAE for small objects is made by python -m finesse.training.vae; with 'none', use the VAE of Load "
    "Checkpoint instead.",
)


class LoadSOLoRA(io.ComfyNode):
    """Gives the model with a SO-LoRA, and the VAE tuned with it."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseLoadSOLoRA",
            display_name="Load SO-LoRA",
            category=SMALL_OBJECTS,
            description=(
                "Teaches an inpainting model to draw objects a few dozen pixels wide (SOEDiff). Reads "
                "the files that Finesse trains and those that the authors' script writes, and refuses a "
                "file made for another base model. Sampling takes no longer than with the plain model."
            ),
            search_aliases=["lora", "load lora", "SOEDiff", "small object", "inpaint lora"],
            inputs=[
                io.Model.Input("model", tooltip="The inpainting model that the file was trained for."),
                LORAS.combo(tooltip="A SO-LoRA in models/loras."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip=(
                        "Strength of the LoRA: 1 is as trained; less draws more like the plain model, 0 "
                        "is the plain model."
                    ),
                ),
                io.Combo.Input(
                    "tuned_vae",
                    options=[NO_VAE, *VAES.names()],
                    default=NO_VAE,
                    tooltip="A VAE in models/vae that was tuned for small objects; the vae output gives it.",
                ),
            ],
            outputs=[
                io.Model.Output("model", tooltip="The model with the LoRA; link it to the sampler."),
                io.Vae.Output("vae", tooltip="The tuned VAE; choose its file under tuned_vae."),
            ],
        )

    @classmethod
    @override
    def validate_inputs(cls, lora: str | None = None, tuned_vae: str | None = None) -> bool | str:
        chosen = ((LORAS, lora), (VAES, None if tuned_vae == NO_VAE else tuned_vae))
        # ComfyUI shows the whole text at each input, so the text names the inputs
        missing = (f"{offer.input}: {text}" for offer, name in chosen if (text := offer.missing(name)))
        return "\n".join(missing) or True

    @classmethod
    @override
    def fingerprint_inputs(cls, lora: str | None = None, tuned_vae: str | None = None, **_: Any) -> str:
        return LORAS.fingerprint(lora) + VAES.fingerprint(tuned_vae)

    @classmethod
    @override
    def execute(cls, model: Any, lora: str, strength: float, tuned_vae: str) -> io.NodeOutput:
        file = _read(LORAS, lora, read_lora)
        patches = _patches(model, file)
        patched = model.clone()
        if strength:
            patched.add_patches(patches, strength)
        if tuned_vae == NO_VAE:
            hint = "Load SO-LoRA: vae is linked but tuned_vae is 'none'; choose a file or link another VAE."
            return io.NodeOutput(patched, ExecutionBlocker(hint))
        return io.NodeOutput(patched, _read(VAES, tuned_vae, _load_vae))


def _read(offer: ModelFiles, name: str, read: Callable[[Path], Any]) -> Any:
    """Read a chosen file by `read`, whose ValueError then begins with the input's name."""
    path = offer.path(name)
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{offer.input}: {error}") from error


def _patches(model: Any, file: LoraFile) -> dict[str, Any]:
    """Patches of the file by the model's own keys. ValueError when it is for another model."""
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    weights = {layer: keys[layer] for layer in file.layers if layer in keys}
    shapes: dict[str, torch.Size] = {
        layer: comfy.utils.get_attr(model.model, key).shape for layer, key in weights.items()
    }
    reason = misfit(file.tensors, shapes)
    if not reason and file.needs_mask and not reads_mask(model):
        reason = "it was trained on an inpainting model, which reads a mask, and this one reads none"
    if reason:
        name = type(model.model.model_config).__name__
        raise ValueError(
            f"lora: {file.path.name} was made for {file.base}, but model is {name}: {reason}. "
            "Load the base model of the file, or choose another file."
        )
    return comfy.lora.load_lora(file.tensors, weights)


def _load_vae(path: Path) -> comfy.sd.VAE:
    weights, metadata = read_tensors(path)
    vae = comfy.sd.VAE(sd=weights, metadata=metadata)
    if vae.first_stage_model is None:
        raise ValueError(f"{path.name} holds no VAE; choose a file of Finesse's VAE tuning.")
    return vae
