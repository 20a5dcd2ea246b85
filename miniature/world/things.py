"""The miniature world is made of things with colours, and of people with actions."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

COLOUR_VALUES: dict[str, tuple[int, int, int]] = {
    "red": (218, 36, 36),
    "yellow": (250, 210, 40),
    "green": (52, 158, 62),
    "blue": (38, 108, 222),
    "purple": (124, 58, 178),
    "pink": (246, 132, 186),
    "brown": (128, 82, 46),
    "black": (46, 46, 52),
    "white": (244, 244, 242),
}
COLOURS = tuple(COLOUR_VALUES)
"""The names of the colours that things come in."""

ACTIONS = ("standing", "walking", "running", "kneeling", "dancing", "sitting")
"""The actions of people."""

VIVID = ("red", "yellow", "green", "blue", "purple", "pink", "black", "white")
PLAIN = ("red", "yellow", "green", "blue", "purple", "pink")
FUR = ("brown", "black", "white")


@dataclass(frozen=True)
class Thing:
    """One kind of object.

    name: the name of its COCO-Stuff label.
    emoji: the character whose glyph is its sprite.
    colours: the colours it comes in; empty if it has only its own.
    paint: the hues of the glyph (degrees, from the first up to the second) that take the colour; None if the
        whole glyph does.
    flies: whether it may be anywhere instead of on the ground.
    mirrors: whether it may be mirrored left to right.
    """

    name: str
    emoji: str
    colours: tuple[str, ...] = ()
    paint: tuple[int, int] | None = None
    flies: bool = False
    mirrors: bool = True


_TABLE = (
    Thing("person", "\N{STANDING PERSON}"),
    Thing("bicycle", "\N{BICYCLE}", PLAIN, (160, 225)),
    Thing("car", "\N{AUTOMOBILE}", VIVID, (335, 25)),
    Thing("motorcycle", "\N{RACING MOTORCYCLE}", PLAIN, (335, 25)),
    Thing("airplane", "\N{AIRPLANE}", PLAIN, (190, 240), flies=True),
    Thing("bus", "\N{BUS}", PLAIN),
    Thing("train", "\N{TRAIN}"),
    Thing("truck", "\N{DELIVERY TRUCK}", VIVID, (335, 60)),
    Thing("boat", "\N{SAILBOAT}", PLAIN, (335, 40)),
    Thing("traffic light", "\N{VERTICAL TRAFFIC LIGHT}", mirrors=False),
    Thing("stop sign", "\N{OCTAGONAL SIGN}", mirrors=False),
    Thing("bird", "\N{BIRD}", VIVID, (180, 240), flies=True),
    Thing("cat", "\N{CAT}", FUR, (15, 65)),
    Thing("dog", "\N{DOG}", FUR),
    Thing("horse", "\N{HORSE}", FUR),
    Thing("sheep", "\N{SHEEP}"),
    Thing("cow", "\N{COW}"),
    Thing("elephant", "\N{ELEPHANT}"),
    Thing("bear", "\N{BEAR FACE}", FUR),
    Thing("zebra", "\N{ZEBRA FACE}"),
    Thing("giraffe", "\N{GIRAFFE FACE}"),
    Thing("backpack", "\N{SCHOOL SATCHEL}", VIVID, (335, 25)),
    Thing("umbrella", "\N{UMBRELLA}", VIVID, (225, 300), flies=True),
    Thing("handbag", "\N{HANDBAG}", VIVID, (5, 45)),
    Thing("suitcase", "\N{LUGGAGE}", VIVID, (190, 240)),
    Thing("frisbee", "\N{FLYING DISC}", VIVID, (180, 240), flies=True),
    Thing("sports ball", "\N{SOCCER BALL}"),
    Thing("kite", "\N{KITE}", flies=True),
    Thing("skateboard", "\N{SKATEBOARD}"),
    Thing("tennis racket", "\N{TENNIS RACQUET AND BALL}", PLAIN, (200, 240)),
    Thing("bottle", "\N{BOTTLE WITH POPPING CORK}"),
    Thing("wine glass", "\N{WINE GLASS}"),
    Thing("cup", "\N{HOT BEVERAGE}"),
    Thing("bowl", "\N{BOWL WITH SPOON}", VIVID, (190, 240)),
    Thing("banana", "\N{BANANA}"),
    Thing("apple", "\N{RED APPLE}", ("red", "yellow", "green"), (335, 30)),
    Thing("sandwich", "\N{SANDWICH}"),
    Thing("orange", "\N{TANGERINE}"),
    Thing("broccoli", "\N{BROCCOLI}"),
    Thing("carrot", "\N{CARROT}"),
    Thing("hot dog", "\N{HOT DOG}"),
    Thing("pizza", "\N{SLICE OF PIZZA}"),
    Thing("donut", "\N{DOUGHNUT}"),
    Thing("cake", "\N{BIRTHDAY CAKE}"),
    Thing("chair", "\N{CHAIR}", VIVID),
    Thing("couch", "\N{COUCH AND LAMP}", VIVID, (190, 240)),
    Thing("potted plant", "\N{POTTED PLANT}"),
    Thing("bed", "\N{BED}", VIVID, (190, 240)),
    Thing("toilet", "\N{TOILET}"),
    Thing("tv", "\N{TELEVISION}", mirrors=False),
    Thing("laptop", "\N{PERSONAL COMPUTER}"),
    Thing("keyboard", "\N{KEYBOARD}"),
    Thing("cell phone", "\N{MOBILE PHONE}", mirrors=False),
    Thing("book", "\N{CLOSED BOOK}", VIVID, (335, 25)),
    Thing("clock", "\N{ALARM CLOCK}", VIVID, (335, 25), mirrors=False),
    Thing("vase", "\N{AMPHORA}", VIVID),
    Thing("scissors", "\N{BLACK SCISSORS}", PLAIN, (335, 25)),
    Thing("teddy bear", "\N{TEDDY BEAR}", ("brown", "pink", "white", "blue")),
    Thing("toothbrush", "\N{TOOTHBRUSH}", PLAIN, (10, 50)),
    Thing("shoe", "\N{ATHLETIC SHOE}", VIVID, (190, 240)),
)

KINDS: dict[str, Thing] = {thing.name: thing for thing in _TABLE}
THINGS = tuple(KINDS)
"""The names of all things, each also a label of the coco-stuff palette."""

ON_MAPS = (
    *("person", "train", "traffic light", "stop sign", "sheep", "elephant", "orange", "broccoli", "hot dog"),
    *("donut", "cake", "potted plant", "tv", "cell phone"),
)
"""The things in the miniature's segmentation maps: large, of a single colour, and different in colour."""

SUBJECTS = ("person", "car", "bus", "chair", "umbrella", "dog", "vase", "backpack")
"""The things that the LoRA of `subjects` draws alone and large."""

SUBJECTS_LORA = "subjects/subjects.safetensors"
"""The path of that LoRA in the miniature's folder."""

COLOURABLE = tuple(thing.name for thing in _TABLE if thing.colours)
"""The names of the things that come in several colours."""


def held_out(name: str, colour: str | None, background: str) -> bool:
    """Whether this combination is held out from training; about 3% of all are."""
    return crc32(f"{name}/{colour}/{background}".encode()) % 100 < 3


def object_phrase(name: str, colour: str | None = None, action: str | None = None) -> str:
    """The object with its article: "a red car", "an apple", "a dancing person", "scissors"."""
    words = " ".join(word for word in (colour, action, name) if word)
    if name.endswith("scissors"):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
