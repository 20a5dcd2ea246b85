"""Skeletons have OpenPose's colours at the keypoints, on the limbs, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from finesse.training.data.skeletons import BONES, COLOURS, LIMBS, Skeleton, draw_skeletons

NOWHERE = (None,) * 18


def body(**places):
    names = ["nose", "neck", "shoulder", "elbow", "wrist"]
    points = list(NOWHERE)
    for name, place in places.items():
        points[names.index(name)] = place
    return tuple(points)


@pytest.mark.parametrize("joint", range(18))
def test_a_joint_has_its_colour_and_its_size(joint):
    points = list(NOWHERE)
    points[joint] = (20.5, 30.5)
    drawn = draw_skeletons([Skeleton(tuple(points), 4)], 64)
    rows, columns = np.nonzero(drawn.any(-1))

    assert tuple(drawn[30, 20]) == COLOURS[joint]
    assert drawn.max(-1).sum() / 255 == pytest.approx(np.pi * 4**2, rel=0.1)
    assert (rows.mean(), columns.mean()) == pytest.approx((30, 20), abs=0.2)


@pytest.mark.parametrize("limb", range(len(LIMBS)))
def test_a_limb_has_a_shade_of_its_own_between_its_joints(limb):
    points = list(NOWHERE)
    points[LIMBS[limb][0]], points[LIMBS[limb][1]] = (8, 32), (56, 32)
    drawn = draw_skeletons([Skeleton(tuple(points), 3)], 64)

    assert tuple(drawn[32, 32]) == tuple(int(0.6 * part) for part in COLOURS[limb])
    assert not drawn[40].any()


def test_a_limb_without_one_of_its_joints_is_not_drawn():
    drawn = draw_skeletons([Skeleton(body(shoulder=(8, 32), wrist=(56, 32)), 3)], 64)
    assert not drawn[:, 16:48].any()


def test_hands_are_a_rainbow_of_fingers_and_faces_white():
    hand = tuple((10 + 20 * (i % 5), 10 + 20 * (i // 5)) for i in range(21))
    drawn = draw_skeletons([Skeleton(NOWHERE, 3, face=((90, 90),), hands=(hand,))], 128)

    for joint in range(21):
        assert tuple(drawn[hand[joint][1], hand[joint][0]]) == (0, 0, 255)
    assert tuple(drawn[90, 90]) == (255, 255, 255)
    thumb, little = (
        drawn[10, 20],  # half way from the wrist to the thumb's root
        drawn[int(np.mean([hand[19][1], hand[20][1]])), int(np.mean([hand[19][0], hand[20][0]]))],
    )
    assert tuple(thumb) == (255, 0, 0)
    assert little[0] > 2 * little[2] > 2 * little[1] == 0  # the last bone: between magenta and red
    assert [bone for bone in BONES if bone[0] == 0] == [(0, 1), (0, 5), (0, 9), (0, 13), (0, 17)]


def test_nobody_is_black_and_what_lies_outside_is_cut_off():
    assert not draw_skeletons([], 16).any()
    drawn = draw_skeletons([Skeleton(body(neck=(-32, 8), shoulder=(32, 8)), 2)], 16)
    assert drawn[8].any(-1).all()
