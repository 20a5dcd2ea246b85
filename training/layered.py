"""Learn edits of single photos (LayerDiffusion) that change the object and replace its background at once.

    python -m finesse.training.layered --base sd15 --edits edits.jsonl --folder runs/edits --dry_run
    accelerate launch -m finesse.training.layered --base sd15 --edits edits.jsonl --folder runs/edits
    accelerate launch -m finesse.training.layered --config sdxl_layered --base sdxl --edits edits.jsonl

Each line of edits.jsonl is an edit, with paths relative to the file:

    {"image": "dog.jpg", "mask": "dog_mask.png", "prompt": "a dog jumping in a forest"}

with a mask that is white on the object and, if wanted, "name", "object" and "background" (else split from the
prompt), "reference" (a picture of the background, else drawn) and "seed". FOLDER/NAME.safetensors is the
result: put it into ComfyUI's models/finesse_layers, or into models/loras for the weights alone. Several
processes share the edits; finished ones are not made again.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from ..core.files import confined, replacing, write_json
from ..core.layers.files import LayeredEdit, write_edit
from .layers.edit_learning import Editor, LayeredConfig, LearntEdit
from .layers.photo_edits import PhotoEdit, check_pictures, read_edits
from .loop import measure
from .loop.config import parse, script
from .models.base_model import PLAIN, BaseModel, load_base
from .models.edit_weights import LowRankWeights
from .models.texts import folder_hash
from .provenance import git_commit, settings_json

# settings on which no result depends, or that an edit's header holds in another form
NOT_IN_HEADER = {"base", "unet", "edits", "folder", "seed", "gradient_checkpointing", "dry_run"}
log = logging.getLogger(__name__)


def run(config: LayeredConfig, accelerator: Accelerator) -> None:
    """Make those of this process's edits that are not finished; or only plan them."""
    edits = read_edits(config.edits, config.seed)
    base = load_base(config.base, config.unet, PLAIN)
    base.check_side("resolution", config.resolution)
    check_pictures(edits, config.resolution)
    told = header(config, base)
    if config.dry_run:
        sys.stdout.write(plan(config, base, edits, told, accelerator.num_processes))
        return
    mine = edits[accelerator.process_index :: accelerator.num_processes]
    waiting = [edit for edit in mine if not is_finished(config, edit, told)]
    log.info("%d edits to make, %d are finished", len(waiting), len(mine) - len(waiting))
    editor = Editor(config, base, accelerator.device) if waiting else None
    for edit in waiting:
        start, steps = time.perf_counter(), config.embedding_steps + config.fine_tuning_steps
        with tqdm(total=steps, desc=edit.name, disable=not accelerator.is_main_process, mininterval=5) as bar:
            learnt = learn(editor, edit, bar)
        write(config, edit, learnt, told)
        ends = [f"{losses[0]:.4f} to {losses[-1]:.4f}" for losses in learnt.losses.values()]
        log.info("%s: losses %s in %.0f s", edit.name, ", then ".join(ends), time.perf_counter() - start)
    accelerator.end_training()


def learn(editor: Editor, edit: PhotoEdit, bar: tqdm) -> LearntEdit:
    """Run `editor.make`, and name the edit's line in its errors."""
    try:
        return editor.make(edit, bar)
    except ValueError as error:
        raise ValueError(f"{edit.where}: {error}") from error
    except torch.cuda.OutOfMemoryError as error:
        raise ValueError(
            f"{edit.where}: the GPU's memory is full; take --precision bf16, --gradient_checkpointing, "
            f"--weights low-rank or a smaller --resolution ({error})"
        ) from error


def write(config: LayeredConfig, edit: PhotoEdit, learnt: LearntEdit, told: dict[str, str]) -> None:
    """Write FOLDER/NAME.png, .json and, last, .safetensors, whose presence marks an edit as finished."""
    with replacing(output(config, edit, "png")) as path:
        learnt.strip.save(path, format="PNG")
    write_json(output(config, edit, "json"), learnt.losses)
    stored = LayeredEdit(learnt.lora, learnt.embeddings, edit_header(told, edit))
    write_edit(output(config, edit, "safetensors"), stored)


def output(config: LayeredConfig, edit: PhotoEdit, kind: str) -> Path:
    return confined(f"{edit.name}.{kind}", config.folder)


def header(config: LayeredConfig, base: BaseModel) -> dict[str, str]:
    """Metadata that the files of all edits share."""
    networks = [config.unet, "vae", *(path.name for path in sorted(base.folder.glob("text_encoder*")))]
    settings = {name: value for name, value in asdict(config).items() if name not in NOT_IN_HEADER}
    settings["networks"] = [folder_hash(base.folder / name) for name in networks]
    return {
        "modelspec.architecture": "stable-diffusion/lora",
        "finesse.base": base.name,
        "finesse.config": settings_json(settings),
        "finesse.commit": git_commit(),
    }


def edit_header(told: dict[str, str], edit: PhotoEdit) -> dict[str, str]:
    return {**told, "modelspec.title": edit.name, "finesse.edit": json.dumps(edit.settings())}


def is_finished(config: LayeredConfig, edit: PhotoEdit, told: dict[str, str]) -> bool:
    """Tell whether the edit's file is there, whole, and made with these settings and pictures."""
    try:
        with safe_open(output(config, edit, "safetensors"), framework="pt") as file:
            found = file.metadata() or {}
    except (OSError, SafetensorError):
        return False
    wanted = edit_header(told, edit)
    return all(found.get(name) == wanted[name] for name in ("finesse.config", "finesse.edit"))


def plan(
    config: LayeredConfig, base: BaseModel, edits: Sequence[PhotoEdit], told: dict[str, str], processes: int
) -> str:
    """Describe what `run` would do: edits, weights, memory a process and disk."""
    with torch.device("meta"):
        unet = type(base.unet).from_config(base.unet.config)
    number = torch.bfloat16 if config.precision == "bf16" else torch.float32
    side = config.resolution // base.cell
    total = sum(p.numel() for p in unet.parameters())
    if config.gradient_checkpointing:
        unet.train().enable_gradient_checkpointing()
    low_rank = config.low_rank
    trained = LowRankWeights(unet, low_rank, 0).parameters if low_rank else list(unet.parameters())
    learnt = sum(p.numel() for p in trained)
    kept = measure.saved_bytes(unet, measure.empty_inputs(unet, 2, side), number)  # both layers in one pass
    memory = {
        "base": total * number.itemsize if low_rank else 0,
        "what is learnt, gradients and moments": learnt * 16,
        "kept for the backward pass": kept,
    }
    waiting = sum(not is_finished(config, edit, told) for edit in edits)
    parts = ", ".join(f"{name} {size / measure.GIGA:.1f}" for name, size in memory.items() if size)
    kind = f"low-rank weights of rank {config.rank}" if low_rank else "full weights"
    return (
        f"{len(edits)} edits on {base.name}, {len(edits) - waiting} of them finished, on {processes} "
        f"processes; {config.embedding_steps} + {config.fine_tuning_steps} steps and {config.pictures} "
        "pictures each\n"
        f"{kind}: {learnt / 1e6:.1f} M learnt of {total / 1e6:.1f} M parameters\n"
        f"about {sum(memory.values()) / measure.GIGA:.1f} GB a process: {parts}\n"
        f"about {waiting * learnt * 2 / measure.GIGA:.1f} GB of results in {config.folder}\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    (config,) = parse([LayeredConfig], {}, arguments)
    run(config, Accelerator())


if __name__ == "__main__":
    script(main)
