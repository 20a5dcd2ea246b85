"""Chains of factors: their order, and the factor that is judged."""

from __future__ import annotations

import itertools

import pytest
from finesse.core.factors.chain import check_chain, judged_first, judged_place
from finesse.core.factors.files import FactorInfo

PARENTS = {"sketch": (), "pose": ("sketch",), "segmentation": ("sketch",), "depth": ("pose", "segmentation")}


def infos(*conditions, parents=PARENTS):
    return [FactorInfo(condition=c, palette="any", base="tiny", parents=parents[c]) for c in conditions]


def is_ordered(names):
    return all(
        parent not in names or names.index(parent) < place
        for place, name in enumerate(names)
        for parent in PARENTS[name]
    )


@pytest.mark.parametrize("count", range(1, 5))
def test_a_chain_holds_when_parents_come_before_children(count):
    for names in itertools.permutations(PARENTS, count):
        if is_ordered(names):
            check_chain(infos(*names))
        else:
            with pytest.raises(ValueError, match=r"chain: .* comes before its parent"):
                check_chain(infos(*names))


def test_a_condition_twice_and_a_late_parent_are_named():
    with pytest.raises(ValueError, match="chain: sketch is in it twice; leave one"):
        check_chain(infos("sketch", "pose", "sketch"))
    with pytest.raises(ValueError, match="depth comes before its parent pose, segmentation; swap"):
        check_chain(infos("sketch", "depth", "pose", "segmentation"))


def test_the_judged_factor_is_the_first_segmentation_that_is_sampled():
    chain = infos("sketch", "segmentation", "depth")
    assert judged_place(chain, [False, False, False]) == 1
    for given in ([False, True, False], [True, True, True]):
        with pytest.raises(
            ValueError, match=r"objects: only segmentations that are sampled .* clear objects"
        ):
            judged_place(chain, given)


def test_the_judged_factor_comes_as_early_as_its_ancestors_allow():
    names = ("sketch", "pose", "segmentation", "depth")
    order = judged_first(infos(*names), 2)
    assert [names[place] for place in order] == ["sketch", "segmentation", "pose", "depth"]
    grand = {**PARENTS, "segmentation": ("pose",)}
    assert judged_first(infos(*names, parents=grand), 2) == [0, 1, 2, 3]
    assert judged_first(infos("pose", "segmentation"), 1) == [1, 0]
