"""Ship a trained miniature: its weights as one diffusers pipeline folder, a model card beside each part.

    python -m finesse.miniature.export --folder runs/64

Run it again after `python -m finesse.benchmarks.miniature`, so that the cards show the newest scores.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from diffusers import __version__ as diffusers_version

from ..core.files import read_json, read_tensors, write_json, write_text
from ..training.checkpoint import checkpoints
from .models import WEIGHTS

RESULTS = WEIGHTS.parents[2] / "docs" / "results" / "miniature.json"
PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": diffusers_version,
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
# folder -> (title, runs that made it, prefixes of its scores)
CARDS = {
    "vae": ("VAE of the miniature", ("vae",), ("vae.",)),
    "text_encoder": ("Text encoder of the miniature, trained with its UNet", ("text_to_image",), ("t2i.",)),
    "unet": ("Text-to-image UNet of the miniature", ("text_to_image",), ("t2i.",)),
    "unet_inpainting": ("Inpainting UNet of the miniature (9 channels)", ("inpainting",), ("inpaint.",)),
    "judges": ("The miniature's judges: classifier and segmenter", ("classifier", "segmenter"), ("judge.",)),
}


def export(runs: Path, target: Path, scenes: str, machine: str) -> None:
    """Copy `runs`/weights to `target`, which then is a pipeline folder with cards."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(runs / "weights", target)
    write_json(target / "model_index.json", PIPELINE)
    scores = read_json(RESULTS)["metrics"] if RESULTS.exists() else {}
    for folder, (title, names, prefixes) in CARDS.items():
        lines = [f"# {title}", "", f"Trained from nothing by this project on {scenes}, on a {machine}."]
        lines += ["The emoji in the scenes are Noto Color Emoji (OFL 1.1). Weights: GPL-3.0-or-later.", ""]
        lines += [_training(run) for name in names for run in sorted(runs.glob(f"{name}*"))]
        found = [f"| `{key}` | {value:g} |" for key, value in scores.items() if key.startswith(prefixes)]
        if found:
            source = "`python -m finesse.benchmarks.miniature`, on test scenes that training never saw"
            lines += ["", f"Scores ({source}):", "", "| measure | value |", "|---|---|", *found]
        write_text(target / folder / "README.md", "\n".join(lines) + "\n")


def _training(run: Path) -> str:
    header = read_tensors(checkpoints(run / "checkpoints")[0])[1]
    config = json.loads(header["finesse.config"])
    return (
        f"- `{run.name}`: {header['finesse.step']} of {config['steps']} planned steps of "
        f"{config['batch_size']} samples, {config['optimizer']} at {config['learning_rate']:g}, "
        f"averaged over {config['ema_decay']:g}, precision {config['precision']}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Ship a trained miniature with its model cards.")
    parser.add_argument("--folder", type=Path, default=Path("runs/64"), help="where it was trained")
    parser.add_argument("--target", type=Path, default=WEIGHTS, help="folder to write, anew")
    parser.add_argument("--scenes", default="scenes of its training split", help="the data, in words")
    parser.add_argument("--machine", required=True, help="the kind of machine it was trained on")
    arguments = parser.parse_args()
    export(arguments.folder, arguments.target, arguments.scenes, arguments.machine)


if __name__ == "__main__":
    main()
