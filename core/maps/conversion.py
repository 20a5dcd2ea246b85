"""Conversion repaints segmentation maps from one palette in another, by tables of label names.

COCO-Stuff and ADE20K do not name the same things: COCO-Stuff's dog is an animal in ADE20K, and ADE20K's
swivel chair is a chair in COCO-Stuff. The tables give each label the best fitting one, judged by COCO-Stuff's
own descriptions (`labels.md`), or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .objects import fill_holes_by_nearest
from .palettes import ADE20K, COCO_STUFF, Palette

NOTHING = ("unlabeled", "background")
"""Labels for pixels without a label. If a palette has one, it also takes labels without a counterpart."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """A repainted map, and what became of its labels.

    painted: uint8 RGB (H, W, 3). counterparts: for every label of the map, in the palette's order, the label
    that replaced it, or None. areas: the share of the map that each label covered. filler: what replaced
    labels without a counterpart, in words.
    """

    painted: np.ndarray
    counterparts: dict[str, str | None]
    areas: dict[str, float]
    filler: str

    @property
    def lost(self) -> list[str]:
        """The labels without a counterpart, the largest first."""
        return sorted((a for a, b in self.counterparts.items() if b is None), key=lambda a: -self.areas[a])

    @property
    def renamed(self) -> dict[str, str]:
        """The labels whose counterpart has another name."""
        return {a: b for a, b in self.counterparts.items() if b not in (a, None)}

    def describe(self) -> str:
        """A report with one line for each label that changed its name or was lost."""
        lines = [f"{a} ({self.areas[a]:.1%}) became {b}" for a, b in self.renamed.items()]
        lines += [f"{a} ({self.areas[a]:.1%}) has no counterpart: {self.filler}" for a in self.lost]
        return "\n".join(lines) or "every label has a counterpart of the same name"


def convert(painted: np.ndarray, source: Palette, target: Palette) -> Conversion:
    """Repaint a map from the palette `source` in the palette `target`.

    painted: uint8 RGB (H, W, 3); each pixel counts as the palette's nearest colour. A label becomes its
    counterpart (see `counterparts`). A label without one becomes the target's label in NOTHING. If the target
    has none, as ADE20K, it becomes the nearest label of the map that has a counterpart, so the result holds
    only colours of the target. Raises ValueError for another type or shape, and if no label of the map has a
    counterpart and the target has no label in NOTHING.
    """
    painted = np.asarray(painted)
    if painted.dtype != np.uint8 or painted.ndim != 3 or painted.shape[2] != 3 or not painted.size:
        raise ValueError(
            f"map: got {painted.dtype} of shape {painted.shape}; give one painted map, uint8 RGB (H, W, 3)"
        )
    return relabel(source.decode(painted), source.labels, counterparts(source, target), target)


def relabel(
    labels: np.ndarray, names: Sequence[str], to: Mapping[str, str | None], target: Palette
) -> Conversion:
    """Paint a map of labels in the palette `target`, as `convert` does.

    labels: integers (H, W). names: the name of each label, by index. to: for every name its counterpart in
    `target`, or None. Raises ValueError if no label of the map has a counterpart and the target has no label
    in NOTHING.
    """
    counts = np.bincount(labels.ravel(), minlength=len(names))
    areas: dict[str, float] = {}
    for index in np.flatnonzero(counts):
        areas[names[index]] = areas.get(names[index], 0.0) + float(counts[index] / labels.size)

    nothing = _nothing(target)
    painted = [to[name] or nothing for name in names]
    new = np.array([target.index(name) if name else -1 for name in painted])[labels]
    if (new < 0).all():
        raise ValueError(
            f"map: none of its labels ({', '.join(areas)}) has a counterpart in the palette {target.name};"
            " choose the palette that it is painted in, or give labels the same names"
        )
    new = fill_holes_by_nearest(new, new < 0)
    filler = f"became {nothing}" if nothing else "filled with the nearest label"
    return Conversion(target.encode(new), {name: to[name] for name in areas}, areas, filler)


def counterparts(source: Palette, target: Palette) -> dict[str, str | None]:
    """The counterpart in `target` of every label of `source`, or None.

    COCO-Stuff and ADE20K are matched by the tables below. Other palettes are matched by equal names, ignoring
    capitals and underscores, and a label in NOTHING by the target's label in NOTHING.
    """
    if source.labels == target.labels:
        return {label: label for label in source.labels}
    table = _TABLES.get((source.labels, target.labels))
    if table is None:
        names = {_plain(name): name for name in reversed(target.labels)}
        table = {label: names.get(_plain(label)) for label in source.labels}
        table |= {label: table[label] or _nothing(target) for label in source.labels if label in NOTHING}
    return {label: table.get(label) for label in source.labels}


def _nothing(palette: Palette) -> str | None:
    return next((label for label in NOTHING if label in palette.labels), None)


def _plain(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").split())


def _table(text: str) -> dict[str, str]:
    """The entries "target: source, source; target: ..." as {source: target}."""
    table = {}
    for entry in text.split(";"):
        to, _, labels = " ".join(entry.split()).partition(": ")
        table |= dict.fromkeys(labels.split(", "), to)
    return table


# A skyscraper becomes a building, because ADE20K paints skyscrapers in the colour of roads. Kitchen utensils,
# fire hydrants and raw materials have no counterpart.
COCO_STUFF_TO_ADE20K: dict[str, str] = _table("""
    person: person; bicycle: bicycle; car: car; minibike: motorcycle; airplane: airplane; bus: bus, train;
    truck: truck; boat: boat; traffic light: traffic light; signboard: street sign, stop sign, banner;
    pole: parking meter; bench: bench;
    animal: bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe;
    apparel: hat, shoe, eye glasses, tie, clothes; bag: backpack, handbag, suitcase; awning: umbrella;
    plaything: frisbee, skis, snowboard, kite, baseball bat, baseball glove, skateboard, surfboard, tennis
    racket, teddy bear; ball: sports ball;
    bottle: bottle; plate: plate, bowl; glass: wine glass, cup;
    food: banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, food-other, fruit,
    salad, vegetable;
    chair: chair; sofa: couch; plant: potted plant, bush, leaves, plant-other; bed: bed;
    mirror: mirror, mirror-stuff; table: dining table, table; windowpane: window, window-other;
    desk: desk, desk-stuff; toilet: toilet; door: door, door-stuff; television receiver: tv;
    computer: laptop, mouse, keyboard; microwave: microwave; oven: oven; sink: sink;
    refrigerator: refrigerator; book: book; clock: clock; vase: vase; blanket: blanket, textile-other;
    tree: tree, branch; bridge: bridge; building: building-other, skyscraper, roof; house: house;
    cabinet: cabinet, cupboard, furniture-other; fence: fence, cage, net; box: cardboard;
    rug: rug, carpet, mat; ceiling: ceiling-other, ceiling-tile; towel: towel, cloth, napkin;
    sky: sky-other, clouds, fog; counter: counter; curtain: curtain; earth: dirt, mud, gravel, ground-other,
    snow; floor: floor-marble, floor-other, floor-stone, floor-tile, floor-wood; flower: flower;
    grass: grass, moss, straw; hill: hill; light: light; mountain: mountain; poster: paper;
    sidewalk: pavement; pillow: pillow; stage: platform; field: playingfield; railing: railing;
    road: road, railroad; river: river; rock: rock, stone; sand: sand; sea: sea; shelf: shelf;
    stairs: stairs; column: structural-other; tent: tent; blind: window-blind;
    wall: wall-brick, wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood;
    water: water-other, waterdrops
""")

# Doors, windows, desks and mirrors become stuff labels, the only ones that COCO-Stuff's maps show them as.
# COCO-Stuff has no label for an unspecified animal, nor for household machines.
ADE20K_TO_COCO_STUFF: dict[str, str] = _table("""
    wall-other: wall; building-other: building, tower, booth, tank; sky-other: sky; floor-other: floor;
    tree: tree, palm; ceiling-other: ceiling; road: road, runway; bed: bed, cradle; window-other: windowpane;
    grass: grass, field; cabinet: cabinet, chest of drawers, case; pavement: sidewalk, path; person: person;
    dirt: earth, dirt track; door-stuff: door, screen door; table: table, pool table, coffee table;
    mountain: mountain; plant-other: plant; curtain: curtain; chair: chair, armchair, seat, swivel chair,
    stool; car: car, van; water-other: water, fountain, swimming pool, waterfall, lake;
    couch: sofa; shelf: shelf, bookcase; house: house, hovel; sea: sea; mirror-stuff: mirror; rug: rug;
    fence: fence; desk-stuff: desk; rock: rock; cupboard: wardrobe, buffet;
    light: lamp, light, chandelier, streetlight, sconce;
    furniture-other: bathtub, ottoman, arcade machine; railing: railing, bannister;
    pillow: cushion, pillow; structural-other: base, column, fireplace, grandstand, pole, hood;
    cardboard: box; banner: signboard, trade name, bulletin board, flag;
    counter: counter, countertop, kitchen island, bar; sand: sand; sink: sink; skyscraper: skyscraper;
    refrigerator: refrigerator; stairs: stairs, stairway, escalator, step; river: river; bridge: bridge;
    window-blind: blind; toilet: toilet; flower: flower; book: book; hill: hill; bench: bench;
    laptop: computer; boat: boat, ship; bus: bus; towel: towel; truck: truck; roof: awning;
    tv: television receiver, screen, crt screen, monitor; airplane: airplane; clothes: apparel;
    ground-other: land; bottle: bottle; paper: poster; platform: stage, pier; textile-other: canopy;
    teddy bear: plaything; tent: tent; handbag: bag; motorcycle: minibike; oven: oven, stove;
    sports ball: ball; food-other: food; microwave: microwave; vase: pot, vase; bicycle: bicycle;
    blanket: blanket; traffic light: traffic light; plate: tray, plate; cup: glass; clock: clock
""")

_TABLES = {
    (COCO_STUFF.labels, ADE20K.labels): COCO_STUFF_TO_ADE20K,
    (ADE20K.labels, COCO_STUFF.labels): ADE20K_TO_COCO_STUFF,
}
