"""Reads and checks the inputs of *Sample Condition Maps*."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...core.factors.chain import judged_place
from ...core.factors.selection import RecallJudge
from ...core.maps.palettes import PALETTES
from ..latents import empty_latent, encode_pictures
from ..maps.palette_input import chosen_palette, wanted_objects
from ..types import Conditioning
from .chain_links import Chain, check_links
from .chain_sampling import GivenMap


def check_inputs(
    chain: Chain, positive: Conditioning, negative: Conditioning, count: int, per_pass: int
) -> None:
    """Raise ValueError for a chain that cannot be sampled, and for a batch where one is needed."""
    check_links(chain)
    if all(link.map is not None for link in chain):
        raise ValueError(
            "chain: every factor has a map in its place, so there is nothing to sample; unlink one."
        )
    for name, value in (("count", count), ("per_pass", per_pass)):
        if value < 1:
            raise ValueError(f"{name} is {value}; ask for 1 at least.")
    own = [(f"positive of {link.info.condition}", link.positive or []) for link in chain]
    for name, conditioning in [("positive", positive), ("negative", negative), *own]:
        _check_single(conditioning, name)


def _check_single(conditioning: Conditioning, name: str) -> None:
    """ValueError for prompts, masks or control pictures in a batch: a seed alone would have the first."""
    for text, values in conditioning:
        held = [("prompts", text), ("masks", values.get("mask"))]
        control = values.get("control")
        while control is not None:
            held.append(("control pictures", control.cond_hint_original))
            control = control.previous_controlnet
        for kind, tensor in held:
            if tensor is not None and tensor.shape[0] > 1 and (kind != "masks" or tensor.ndim > 2):
                raise ValueError(
                    f"{name} holds {tensor.shape[0]} {kind} in a batch, but all candidates share one;"
                    " link one of them."
                )


def empty_map(model: ModelPatcher, vae: Any, width: int, height: int) -> Tensor:
    """The empty latent of one map, (1, C, h, w). ValueError for a size that is not of whole cells."""
    cell = vae.spacial_compression_encode()
    for name, size in (("width", width), ("height", height)):
        if size % cell or size < cell:
            below, above = max(size // cell * cell, cell), (size // cell + 1) * cell
            near = f"{below} or {above}" if below != above else f"{above}"
            raise ValueError(
                f"{name} is {size}, but this VAE has cells of {cell} pixels; the nearest sizes are {near}."
            )
    return empty_latent(model, vae, width, height)


def given_maps(chain: Chain, vae: Any, width: int, height: int, count: int) -> dict[str, GivenMap]:
    """The maps that take a factor's place, by condition."""
    given = {}
    for link in chain:
        if link.map is None:
            continue
        if len(link.map) not in (1, count):
            raise ValueError(
                f"map of {link.info.condition} holds {len(link.map)} maps for {count} candidates; give"
                " one, or one for each."
            )
        pixels = link.resized_map(width, height)
        given[link.info.condition] = GivenMap(pixels, encode_pictures(vae, pixels))
    return given


def early_stop(
    chain: Chain, palette: str, custom: str, objects: str, minimal_area: float, stop_at: float, keep: int
) -> RecallJudge | None:
    """None without objects."""
    if not objects.strip():
        if keep:
            raise ValueError(
                f"keep is {keep}, but objects is empty, so there is nothing to judge by; link Objects from"
                " Prompt, or set keep to 0."
            )
        return None
    chosen = chosen_palette(palette, custom)
    infos = [link.info for link in chain]
    judged = chain[judged_place(infos, [link.map is not None for link in chain])]
    if judged.info.palette in PALETTES and judged.info.palette != chosen.name:
        raise ValueError(
            f"palette is {chosen.name}, but {judged.factor.name} paints in {judged.info.palette};"
            " choose that."
        )
    return RecallJudge(chosen, wanted_objects(objects, chosen), minimal_area, keep, stop_at)
