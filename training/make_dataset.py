"""Make labelled data with FG-DM: pictures with their maps from a list of prompts.

    python -m finesse.training.make_dataset --base sd15 --factors segmentation.safetensors,pose.safetensors \\
        --controlnet control-seg --control_palette ade20k --prompts prompts.txt --output sets/made
    accelerate launch -m finesse.training.make_dataset --config sd15_made --prompts prompts.txt

For each prompt some segmentation maps are sampled; the one that shows most of the prompt's objects is kept if
it shows enough of them, the other factors sample theirs for it and the ControlNet draws its picture. The
result is what `finesse.training.data.maps` makes too, and what `finesse.training.factor` learns from. Several
processes share the shards, and the same shards come out of any number of them; it goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from tqdm import tqdm

from ..core.factors.chain import check_chain
from ..core.factors.files import SEGMENTATION, read_factor
from ..core.files import file_hash
from ..core.maps.custom_palette import custom_palette
from ..core.maps.palettes import PALETTES, Palette
from .data.map_samples import MapSample, write_maps
from .data.shard_set import ShardSet
from .factors.chain_sampling import Link
from .factors.made_samples import Maker, SampleRecipe
from .loop.cache import code_hash
from .loop.config import option, parse, script
from .models.base_model import PLAIN, load_base
from .models.controlled_unet import ControlledUNet, load_controlnet
from .models.texts import folder_hash

log = logging.getLogger(__name__)


@dataclass
class DatasetConfig:
    """Settings: which prompts to make pictures and maps of, with which models, and where they go."""

    base: str = option("", "folder of the text-to-image model, in diffusers' layout")
    factors: str = option("", "factor files, separated by commas: the segmentation, then parents first")
    controlnet: str = option("", "folder of the ControlNet that reads the segmentation map")
    prompts: str = option("", "a text file of prompts, one a line")
    output: str = option("", "where the shards and their report go")
    split: str = option("train", "the shards' name: OUTPUT/SPLIT-000000.tar")
    palette: str = option(
        "", f"palette of the maps: {', '.join(PALETTES)} or a JSON file; empty takes the factor's"
    )
    control_palette: str = option(
        "", "palette that the ControlNet reads, named likewise; empty takes the maps'"
    )
    candidates: int = option(10, "how many segmentation maps to sample for each prompt")
    keep: int = option(0, "how many of these go on after half of the steps; 0 for all")
    minimal_recall: float = option(0.75, "smallest share of the prompt's objects that the best map must show")
    minimal_area: float = option(0.003, "smallest share of the map an object must cover to count")
    map_size: int = option(256, "side of the maps as they are sampled, in pixels")
    size: int = option(512, "side of the pictures, to which the maps are enlarged, in pixels")
    steps: int = option(20, "sampling steps of a map or a picture")
    guidance: float = option(5.0, "classifier-free guidance")
    per_shard: int = option(1000, "number of prompts in a shard")
    seed: int = option(0, "noise depends on seed and prompt alone")
    precision: Literal["no", "bf16"] = option("no", "precision of the networks, by autocast")

    def __post_init__(self) -> None:
        for name, low, high in (
            ("candidates", 1, 10_000),
            ("keep", 0, self.candidates),
            ("minimal_recall", 0, 1),
            ("minimal_area", 0, 1),
            ("steps", 2, 1000),
            ("per_shard", 1, 1_000_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; give {low} to {high}.")

    @property
    def files(self) -> list[Path]:
        return [Path(part.strip()) for part in self.factors.split(",") if part.strip()]


def run(config: DatasetConfig, accelerator: Accelerator) -> None:
    """Make this process's shards and, when all are there, the report OUTPUT/SPLIT.json."""
    prompts, chain = read_prompts(config.prompts), read_chain(config.files)
    recipe = recipe_of(config, chain)
    base, control = load_base(config.base, channels=PLAIN), load_controlnet(config.controlnet)
    for name in ("map_size", "size"):
        base.check_side(name, getattr(config, name))
    causes = {
        "recipe": asdict(recipe),
        "minimal_recall": config.minimal_recall,
        "base": [folder_hash(base.folder / part) for part in ("unet", "vae", "text_encoder")],
        "files": file_hash(*config.files),
        "code": code_hash(__name__),
        "controlnet": folder_hash(Path(config.controlnet)),
    }
    device = accelerator.device
    dtype = torch.bfloat16 if recipe.half and device.type == "cuda" else torch.float32
    base.to(device, dtype)
    for link in chain:
        link.factor.to(device, dtype)
    maker = Maker(base, chain, ControlledUNet(base.unet, control.to(device, dtype)), recipe)
    output = Path(config.output)
    target = ShardSet(output, config.split, output / config.split / "shards")

    def make(start: int) -> dict[str, Any]:
        part = prompts[start : start + config.per_shard]
        digest = hashlib.sha256(json.dumps([causes, start, part], sort_keys=True).encode()).hexdigest()
        write = partial(write_shard, maker, part, start, config.minimal_recall)
        return target.make(start // config.per_shard, digest, write)

    starts = range(0, len(prompts), config.per_shard)
    for start in starts[accelerator.process_index :: accelerator.num_processes]:
        make(start)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        report = finish([make(start) for start in starts], maker, target)  # all are there
        log.info("%d shards; pictures: %s", len(report["shards"]), report["pictures"])
    accelerator.end_training()


def write_shard(
    maker: Maker, prompts: Sequence[str], start: int, minimal_recall: float, path: Path
) -> dict[str, Any]:
    """Write the samples of some prompts, the first one at `start` of the list; -> what became of each."""
    counts = {"recalls": [], "dropped": 0, "without_objects": 0}

    def samples() -> Iterator[MapSample]:
        for index, prompt in enumerate(tqdm(prompts, desc=path.name), start):
            if not maker.wanted(prompt):
                counts["without_objects"] += 1
                continue
            found = maker.best(prompt, index)
            if found.candidate.recall < minimal_recall:
                counts["dropped"] += 1
                continue
            counts["recalls"].append(found.candidate.recall)
            yield maker.sample(prompt, index, found)

    return {"samples": write_maps(path, samples()), **counts}


def finish(shards: Sequence[dict[str, Any]], maker: Maker, target: ShardSet) -> dict[str, Any]:
    """Write and return the report of a set whose shards are all made. ValueError if there is no picture."""
    made, recipe = [shard for shard in shards if shard["samples"]], maker.recipe
    recalls = [recall for shard in made for recall in shard["recalls"]]
    dropped, without = (sum(shard[name] for shard in shards) for name in ("dropped", "without_objects"))
    if not made:
        raise ValueError(
            f"There is no picture to keep: {dropped} prompts fall short of minimal_recall, {without} name no "
            f"object of the palette {recipe.palette.name}. Lower minimal_recall or give more candidates."
        )
    report = {
        "source": "made",
        "conditions": [link.info.condition for link in maker.chain],
        "palette": recipe.palette.name,
        "labels": dict(zip(recipe.palette.labels, recipe.palette.colours, strict=True)),
        "resolution": recipe.size,
        "pictures": {"kept": len(recalls), "dropped_by_recall": dropped, "without_objects": without},
        "recall": sum(recalls) / len(recalls),
        "shards": [{name: shard[name] for name in ("file", "samples")} for shard in made],
    }
    target.finish(report)
    return report


def read_prompts(path: str) -> list[str]:
    """Read the lines of a text file that are not empty."""
    if not Path(path).is_file():
        raise ValueError(f"prompts: there is no file {path!r}; give a text file with one prompt a line.")
    lines = (line.strip() for line in Path(path).read_text("utf-8").splitlines())
    if not (prompts := [line for line in lines if line]):
        raise ValueError(f"prompts: {path} is empty; write one prompt a line.")
    return prompts


def read_chain(files: Sequence[Path]) -> list[Link]:
    """Read factors from files; the first must be a segmentation without parents."""
    if not files:
        raise ValueError("factors: none is given; give files that finesse.training.factor has written.")
    chain = [Link(factor.float().requires_grad_(False), info) for factor, info in map(read_factor, files)]
    first = chain[0].info
    if first.condition != SEGMENTATION or first.parents:
        raise ValueError(
            f"factors: the first, {files[0].name}, makes {first.condition} of {list(first.parents)}; begin "
            "with a segmentation factor without parents, since its maps are judged."
        )
    check_chain([link.info for link in chain])
    return chain


def recipe_of(config: DatasetConfig, chain: Sequence[Link]) -> SampleRecipe:
    """Collect the settings that decide how a prompt becomes a sample."""
    palette = chosen_palette("palette", config.palette or chain[0].info.palette)
    reads = chosen_palette("control_palette", config.control_palette) if config.control_palette else palette
    names = SampleRecipe.__dataclass_fields__.keys() - {"palette", "control_palette", "half"}
    settings = {name: getattr(config, name) for name in names}
    return SampleRecipe(palette, reads, half=config.precision == "bf16", **settings)


def chosen_palette(setting: str, value: str) -> Palette:
    """Find a palette by its name, or read it from a JSON file, whose name it gets."""
    if value in PALETTES:
        return PALETTES[value]
    if not Path(value).is_file():
        raise ValueError(f"{setting}: got {value!r}; give one of {', '.join(PALETTES)} or a JSON file.")
    return custom_palette(Path(value).read_text("utf-8"), Path(value).stem)


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    (config,) = parse([DatasetConfig], {}, arguments)
    run(config, Accelerator())


if __name__ == "__main__":
    script(main)
