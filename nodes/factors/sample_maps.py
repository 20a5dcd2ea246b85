"""*Sample Condition Maps*: many cheap maps of a prompt, each by a seed of its own (FG-DM, section 4)."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from typing_extensions import override

from ...core.factors.selection import candidate_seeds
from ...core.seeds import LARGEST_SEED
from ..categories import CONDITION_MAPS
from ..latents import MAX_SIDE
from ..maps.palette_input import custom_palette_input, minimal_area_input, palette_input
from ..progress_text import show_text
from ..sampler_inputs import Sampling, sampler_inputs
from ..types import Conditioning, FactorMaps, FinesseFactor, FinesseFactorChain, FinesseFactorMaps
from .chain_inputs import check_inputs, early_stop, empty_map, given_maps
from .chain_links import Chain, as_chain
from .chain_sampling import Batch, ChainSampler
from .control import LoadedFactor

MOST = 4096
TOGETHER, IN_TURN = "together", "one after another"


class SampleConditionMaps(io.ComfyNode):
    """Maps of every factor of a chain for many seeds, with early stop by object recall."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSampleConditionMaps",
            display_name="Sample Condition Maps",
            category=CONDITION_MAPS,
            description=(
                "Draws many small, cheap condition maps of a prompt, each from a seed of its own; the "
                "same seed gives the same map in a KSampler. Judge them with Select Seed by Recall, edit "
                "the best, and make the picture from it with a ControlNet."
            ),
            search_aliases=["FG-DM", "factor graph", "segmentation from prompt", "batch seeds", "best of n"],
            inputs=[*_inputs(), *_early_stop_inputs()],
            outputs=[
                io.Image.Output("maps", tooltip="The maps of the chain's first sampled factor."),
                io.Latent.Output("latents", tooltip="Their latents."),
                io.Array.Output("seeds", tooltip="The seed of each map, for Select Seed by Recall."),
                FinesseFactorMaps.Output(
                    "all_maps", tooltip="The maps of every factor, for Get Factor Maps."
                ),
                io.String.Output("report", tooltip="How many candidates were drawn, dropped and skipped."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @override
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        positive: Conditioning,
        negative: Conditioning,
        chain: Chain | LoadedFactor,
        seed: int,
        count: int,
        width: int,
        height: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        order: str,
        per_pass: int,
        palette: str = "",
        objects: str = "",
        minimal_area: float = 0.003,
        stop_at: float = 1.0,
        keep: int = 0,
        custom_palette: str = "",
    ) -> io.NodeOutput:
        links = as_chain(chain)
        check_inputs(links, positive, negative, count, per_pass)
        sampler = ChainSampler(
            model,
            vae,
            positive,
            negative,
            links,
            given_maps(links, vae, width, height, count),
            empty_map(model, vae, width, height),
            Sampling(steps, cfg, sampler_name, scheduler),
            order == TOGETHER,
            early_stop(links, palette, custom_palette, objects, minimal_area, stop_at, keep),
        )
        seeds = candidate_seeds(seed, count)
        batches = sampler.draw(seeds, per_pass)
        maps = _collected(sampler, batches, seeds)
        first = next(link.info.condition for link in links if link.map is None)
        text = report(sampler, batches, seeds)
        show_text(cls, text)
        latents = {"samples": maps.latents[first]}
        return io.NodeOutput(maps.maps[first], latents, list(maps.seeds), maps, text)


def _inputs() -> list[io.Input]:
    return [
        io.Model.Input("model", tooltip="The base model that the factors were trained for."),
        io.Vae.Input("vae", tooltip="The base model's VAE."),
        io.Conditioning.Input("positive", tooltip="What the maps should show."),
        io.Conditioning.Input("negative", tooltip="What the map must not show."),
        io.MultiType.Input(
            "chain",
            types=[FinesseFactorChain, FinesseFactor],
            tooltip="The factors from Chain Factor, or a single one from Load Factor.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=LARGEST_SEED,
            control_after_generate=True,
            tooltip="The first candidate's seed; each following candidate has the next number.",
        ),
        io.Int.Input("count", default=10, min=1, max=MOST, tooltip="How many candidates to draw at most."),
        io.Int.Input(
            "width",
            default=256,
            min=16,
            max=MAX_SIDE,
            step=8,
            tooltip="Side of the maps in pixels. Use the size that the factor was trained at, 256 for SD1.x.",
        ),
        io.Int.Input(
            "height",
            default=256,
            min=16,
            max=MAX_SIDE,
            step=8,
            tooltip="Side of the maps in pixels. Use the size that the factor was trained at, 256 for SD1.x.",
        ),
        io.Int.Input(
            "steps", default=10, min=1, max=1000, tooltip="Number of sampling steps; maps need few."
        ),
        *sampler_inputs(
            4.0,
            "sgm_uniform",
            (
                "Classifier-free guidance. At 1 the negative prompt is not read, and sampling takes half "
                "the time."
            ),
            "Which of ComfyUI's samplers to use; each map is the same as when its seed is sampled alone.",
        ),
        io.Combo.Input(
            "order",
            options=[TOGETHER, IN_TURN],
            default=TOGETHER,
            tooltip=(
                "together samples all factors at once, and each reads its parents while they emerge, "
                "step by step. one after another lets each read finished maps, as a ControlNet does."
            ),
        ),
        io.Int.Input(
            "per_pass",
            default=10,
            min=1,
            max=MOST,
            tooltip=(
                "How many candidates are sampled at once; take as many as fit into memory. The maps do "
                "not depend on it."
            ),
        ),
    ]


def _early_stop_inputs() -> list[io.Input]:
    palette = palette_input(
        tooltip="The palette that the segmentations are painted in; read only with objects."
    )
    palette.optional = True
    return [
        palette,
        io.String.Input(
            "objects",
            default="",
            optional=True,
            tooltip=(
                "What the maps should show, for early stop: the list of Objects from Prompt, or typed, "
                "separated by commas. Empty draws all candidates to the end."
            ),
        ),
        minimal_area_input("Smallest share of a map an object must cover to count.", optional=True),
        io.Float.Input(
            "stop_at",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            tooltip="With objects, sampling stops after the pass in which a map shows this share of them.",
        ),
        io.Int.Input(
            "keep",
            default=0,
            min=0,
            max=MOST,
            optional=True,
            tooltip=(
                "With objects, how many candidates of each pass go on after half of the steps: those "
                "that seem to show most of the objects. 0 keeps all."
            ),
        ),
        custom_palette_input(),
    ]


def _collected(sampler: ChainSampler, batches: list[Batch], seeds: list[int]) -> FactorMaps:
    names = [link.info.condition for link in sampler.chain]
    return FactorMaps(
        {name: torch.cat([batch.maps[name] for batch in batches]) for name in names},
        {name: torch.cat([batch.latents[name] for batch in batches]) for name in names},
        tuple(seeds[place] for batch in batches for place in batch.places),
    )


def report(sampler: ChainSampler, batches: list[Batch], seeds: list[int]) -> str:
    """Report what was drawn, and what early stop skipped."""
    names = [link.info.condition for link in sampler.chain]
    left = [place for batch in batches for place in batch.places]
    lines = [f"{len(left)} candidates with maps of {', '.join(names)}, from seed {seeds[0]} on."]
    if sampler.stop is None:
        return lines[0]
    tried = sum(batch.begun for batch in batches)
    if dropped := tried - len(left):
        lines.append(f"{dropped} of {tried} were dropped after half of the steps.")
    if tried < len(seeds):
        lines.append(f"{len(seeds) - tried} of {len(seeds)} were skipped: the target recall was reached.")
    best = min((batch.candidates[0] for batch in batches), key=lambda c: (-c.recall, -c.area, c.seed))
    missing = f"; it lacks {', '.join(best.missing)}" if best.missing else ""
    lines.append(f"The best, seed {best.seed}, shows {best.recall:.0%} of the objects{missing}.")
    return "\n".join(lines)
