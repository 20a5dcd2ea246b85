"""A scene is a picture of the miniature world together with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .keypoints import Keypoints, keypoints
from .sprites import Sprite
from .things import object_phrase


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object of a scene.

    name, colour, action, variant: what the object is; colour, action and variant may be None. box: x, y,
    width, height in pixels around its visible pixels. mask: bool (H, W), its visible pixels. depth: how near
    it is, in 0..1 (1 is nearest). sprite, frame, flipped: its picture in the atlas, the frame of that picture
    in the scene (x, y, width, height in
        pixels, hidden parts included), and whether it is mirrored.
    """

    name: str
    colour: str | None
    action: str | None
    variant: str | None
    box: tuple[int, int, int, int]
    mask: np.ndarray
    depth: float
    sprite: Sprite
    frame: tuple[int, int, int, int]
    flipped: bool

    @property
    def phrase(self) -> str:
        """The object in words: "a red car", "a dancing person"."""
        return object_phrase(self.name, self.colour, self.action)

    @property
    def keypoints(self) -> Keypoints | None:
        """A person's 18 OpenPose keypoints (x, y) in pixels, None for hidden ones; None for other things."""
        if self.action is None or self.variant is None:
            return None
        return keypoints(self.action, self.variant, self.frame, self.flipped)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of the miniature world.

    image: uint8 (H, W, 3) RGB. labels: uint8 (H, W), indices into the coco-stuff palette.
    objects: back to front. horizon: where the ground begins, as a fraction of the height.
    The module `scene_maps` draws its maps.
    """

    image: np.ndarray
    caption: str
    background: str
    objects: tuple[SceneObject, ...]
    labels: np.ndarray
    horizon: float
