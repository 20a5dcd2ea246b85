"""Scene maps are the exact segmentation, depth, normal, sketch and pose maps of a scene."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from ...core.maps.palettes import COCO_STUFF
from ...training.data.skeletons import Skeleton, draw_skeletons
from .layout import FAR
from .scene import Scene, SceneObject
from .sprites import LUMA

BULGE = 0.06  # how much nearer the centre of an object is than its edge
LYING = ("grass", "sand", "sea", "snow", "hill", "dirt", "floor-wood", "rug", "pavement", "road", "table")
GROUND_NORMAL = (0.0, 0.87, 0.5)  # seen from above the horizon
INNER_LINES = 0.55  # brightness of inner lines, relative to outlines


def segmentation(scene: Scene) -> np.ndarray:
    """The labels, painted in the coco-stuff palette, uint8 (H, W, 3)."""
    return COCO_STUFF.encode(scene.labels)


def depth(scene: Scene) -> np.ndarray:
    """Nearness, float32 (H, W): the ground comes closer downwards, objects stand upright, the sky is 0."""
    size = len(scene.labels)
    y = (np.arange(size, dtype=np.float32)[:, None] + 0.5) / size
    ground = FAR + (1 - FAR) * np.clip((y - scene.horizon) / (1 - scene.horizon), 0, 1)
    nearness = np.where(_lying(scene), ground, np.float32(FAR))
    nearness[scene.labels == COCO_STUFF.index("sky-other")] = 0
    for thing in scene.objects:
        height = _dome(thing)
        nearness[thing.mask] = thing.depth + BULGE * (height[thing.mask] - 1)
    return np.clip(nearness, 0, 1).astype(np.float32)


def normal(scene: Scene) -> np.ndarray:
    """Surface normals, uint8 (H, W, 3): the ground faces up, walls face the viewer, objects are round."""
    vectors = np.zeros((*scene.labels.shape, 3), np.float32)
    vectors[..., 2] = 1
    vectors[_lying(scene)] = GROUND_NORMAL
    for thing in scene.objects:
        dy, dx = np.gradient(_dome(thing))
        steep = 0.35 * max(thing.frame[2:])
        rounded = np.stack([-steep * dx, steep * dy, np.ones_like(dx)], -1)
        vectors[thing.mask] = (rounded / np.linalg.norm(rounded, axis=-1, keepdims=True))[thing.mask]
    return np.uint8(np.round((vectors + 1) * 127.5))


def sketch(scene: Scene) -> np.ndarray:
    """Lines, uint8 (H, W): the outlines of objects and ground are bright, inner edges of objects fainter."""
    owner = scene.labels.copy()
    inside = np.zeros(owner.shape, bool)
    for number, thing in enumerate(scene.objects):
        owner[thing.mask] = 255 - number
        inside |= thing.mask
    outline = np.zeros(owner.shape, bool)
    outline[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    outline[1:] |= owner[1:] != owner[:-1]
    dy, dx = np.gradient(scene.image.astype(np.float32) @ LUMA)
    inner = np.clip(np.hypot(dx, dy) / 60 - 0.3, 0, 1) * inside * INNER_LINES
    return np.uint8(np.round(np.maximum(outline, inner) * 255))


def pose(scene: Scene) -> np.ndarray:
    """The skeletons of all people on black, uint8 (H, W, 3)."""
    people = [Skeleton(o.keypoints, max(0.5, o.frame[3] / 40)) for o in scene.objects if o.keypoints]
    return draw_skeletons(people, len(scene.labels))


def _lying(scene: Scene) -> np.ndarray:
    return np.isin(scene.labels, [COCO_STUFF.index(label) for label in LYING])


def _dome(thing: SceneObject) -> np.ndarray:
    """The height of an object's surface above its edge, float32 (H, W) in 0..1: its mask, blurred."""
    mask = Image.fromarray(np.uint8(thing.mask) * 255)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(max(thing.frame[2:]) / 8)), np.float32)
    return soft / max(1.0, soft.max())
