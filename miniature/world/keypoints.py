"""Each pose in the atlas has OpenPose's 18 keypoints, placed by hand.

They are nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist, right hip, knee, ankle, left
hip, knee, ankle, right eye, left eye, right ear, left ear; None if the sprite hides them.
"""

from __future__ import annotations

from ...training.data.skeletons import Keypoints

# In percent of the sprite's width and height. People in profile face left, so their left side is nearer.
_FITTED: dict[str, tuple[tuple[int, int] | None, ...]] = {
    "standing": (
        *((50, 25), (50, 36), (22, 38), (14, 52), (10, 66), (78, 38), (86, 52), (90, 66)),
        *((35, 61), (33, 78), (31, 94), (65, 61), (67, 78), (69, 94)),
        *((37, 20), (63, 20), (20, 22), (80, 22)),
    ),
    "walking": (
        *((14, 17), (42, 26), (37, 30), None, None, (47, 30), (50, 45), (37, 58)),
        *((50, 58), (60, 75), (80, 89), (38, 58), (28, 76), (22, 93)),
        *(None, (20, 13), None, (52, 17)),
    ),
    "running": (
        *((22, 17), (45, 27), (38, 31), (27, 42), (12, 31), (53, 31), (66, 42), (47, 49)),
        *((52, 58), (57, 77), (86, 70), (43, 58), (31, 74), (16, 93)),
        *(None, (30, 12), None, (46, 17)),
    ),
    "kneeling": (
        *((24, 18), (47, 27), (42, 31), None, None, (52, 32), (53, 52), (20, 62)),
        *((56, 69), (48, 92), (80, 92), (52, 67), (16, 69), (18, 93)),
        *(None, (34, 14), None, (54, 17)),
    ),
    "dancing man": (
        *((47, 23), (47, 31), (27, 36), (8, 48), (18, 56), (66, 35), (84, 30), (90, 15)),
        *((38, 61), (29, 78), (16, 94), (61, 61), (71, 77), (85, 94)),
        *((38, 18), (56, 18), (31, 20), (66, 18)),
    ),
    "dancing woman": (
        *((32, 19), (38, 28), (25, 32), (10, 42), (22, 54), (52, 31), (68, 21), (62, 8)),
        *((36, 56), (37, 76), (40, 92), (52, 56), (68, 74), (82, 91)),
        *((27, 15), (40, 15), (21, 17), (48, 16)),
    ),
    "sitting": (
        *((50, 29), (50, 38), (32, 42), (28, 60), (11, 80), (68, 42), (72, 60), (89, 80)),
        *((42, 79), (12, 88), (60, 93), (58, 79), (88, 88), (40, 93)),
        *((42, 24), (58, 24), (34, 26), (66, 26)),
    ),
}

_MIRRORED = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)  # right and left change places


def keypoints(action: str, variant: str, frame: tuple[int, int, int, int], flipped: bool) -> Keypoints:
    """The 18 keypoints (x, y), in pixels, of a person whose sprite fills the frame (x, y, width, height)."""
    fitted = _FITTED.get(action) or _FITTED[f"{action} {variant.split()[-1]}"]
    if flipped:
        fitted = tuple(point and (100 - point[0], point[1]) for point in (fitted[i] for i in _MIRRORED))
    x, y, width, height = frame
    return tuple(point and (x + point[0] / 100 * width, y + point[1] / 100 * height) for point in fitted)
