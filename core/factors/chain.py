"""A chain of factors (FG-DM, eqs. 4 and 5): its order, and the factor by which candidates are judged."""

from __future__ import annotations

from collections.abc import Sequence

from .files import SEGMENTATION, FactorInfo


def check_chain(infos: Sequence[FactorInfo]) -> None:
    """Raise ValueError for a condition that is there twice or stands before one of its parents.

    A parent that is not in the chain counts as dropped, as in training.
    """
    order = [info.condition for info in infos]
    for name in order:
        if order.count(name) > 1:
            raise ValueError(f"chain: {name} is in it twice; leave one of them out.")
    for place, info in enumerate(infos):
        if late := sorted(set(info.parents) & set(order[place:])):
            raise ValueError(f"chain: {info.condition} comes before its parent {', '.join(late)}; swap them.")


def judged_place(infos: Sequence[FactorInfo], given: Sequence[bool]) -> int:
    """The place of the first segmentation that is sampled, by which candidates are judged.

    given: whether a map takes the factor's place. Raises ValueError when there is none.
    """
    for place, (info, is_given) in enumerate(zip(infos, given, strict=True)):
        if info.condition == SEGMENTATION and not is_given:
            return place
    conditions = ", ".join(info.condition for info in infos)
    raise ValueError(
        f"objects: only segmentations that are sampled are judged by them, and the chain of {conditions}"
        " samples none; clear objects, or add a segmentation factor without a map."
    )


def judged_first(infos: Sequence[FactorInfo], judged: int) -> list[int]:
    """The places of a checked chain, the judged factor as early as its ancestors allow.

    What comes after it is then sampled for the surviving candidates alone.
    """
    needed = {infos[judged].condition}
    for info in reversed(infos[: judged + 1]):
        if info.condition in needed:
            needed |= set(info.parents)
    early = [place for place in range(judged + 1) if infos[place].condition in needed]
    return early + [place for place in range(len(infos)) if place not in early]
