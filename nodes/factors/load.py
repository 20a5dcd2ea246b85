"""*Load Factor*: reads what teaches Stable Diffusion to draw condition maps (FG-DM)."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from typing_extensions import override

from ...core.factors.files import SEGMENTATION
from ..categories import CONDITION_MAPS
from ..model_files import ModelFiles, add_folder
from ..types import FinesseFactor
from .control import PARENT, LoadedFactor, load_factor

CONDITIONS = (SEGMENTATION, "depth", "normal", "sketch", "pose")
SUFFIXES = (".safetensors", ".pth", ".ckpt")
FOLDER = add_folder("finesse_factors", suffixes=SUFFIXES)
FACTORS = ModelFiles(
    "factor",
    FOLDER,
    "A factor is made by python -m finesse.training.factor, or is a checkpoint of FG-DM's authors, such as "
    "fgdm_seg.pth.",
    SUFFIXES,
)


class LoadFactor(io.ComfyNode):
    """A factor file, or a checkpoint of the authors' code, as a factor."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseLoadFactor",
            display_name="Load Factor",
            category=CONDITION_MAPS,
            description=(
                "Loads a factor, which teaches Stable Diffusion to draw condition maps (FG-DM): "
                "segmentation, depth, normal, sketch or pose. Reads the files that Finesse trains and "
                "the checkpoints of the paper's authors."
            ),
            search_aliases=["FG-DM", "factor graph", "adapter", "segmentation from prompt", "load adapter"],
            inputs=[
                FACTORS.combo(
                    tooltip=(
                        "A file in models/finesse_factors; .pth and .ckpt are read as the authors' "
                        "checkpoints."
                    )
                ),
                io.Combo.Input(
                    "condition",
                    options=list(CONDITIONS),
                    default=SEGMENTATION,
                    optional=True,
                    tooltip=(
                        "Which maps a .pth or .ckpt draws, since such a file does not say it; the "
                        "authors' released one draws segmentations. A .safetensors says it itself and "
                        "needs no choice here."
                    ),
                ),
            ],
            outputs=[
                FinesseFactor.Output(
                    "factor",
                    tooltip="The factor; link it to Apply Factor, Chain Factor or Sample Condition Maps.",
                ),
                io.String.Output(
                    "report",
                    tooltip=(
                        "What the factor draws, in which palette, for which base model and from which "
                        "parents."
                    ),
                ),
            ],
        )

    @classmethod
    @override
    def validate_inputs(cls, factor: str | None = None) -> bool | str:
        return FACTORS.missing(factor) or True

    @classmethod
    @override
    def fingerprint_inputs(cls, factor: str | None = None, **_: Any) -> str:
        return FACTORS.fingerprint(factor)

    @classmethod
    @override
    def execute(cls, factor: str, condition: str = SEGMENTATION) -> io.NodeOutput:
        loaded = load_factor(FACTORS.path(factor), condition)
        return io.NodeOutput(loaded, report(loaded))


def report(factor: LoadedFactor) -> str:
    """What Load Factor tells of a factor."""
    info = factor.info
    palette = f" in the palette {info.palette}" if info.palette else ""
    lines = [f"{factor.name} draws {info.condition} maps{palette}, for {info.base}."]
    if info.parents:
        parents = ", ".join(f"{PARENT}{i} {name}" for i, name in enumerate(info.parents))
        lines.append(f"It reads the maps of its parents: {parents}.")
    trained = ", ".join(f"{name} {value}" for name, value in info.trained.items()) or "not told"
    lines.append(f"Trained: {trained}.")
    return "\n".join(lines)
