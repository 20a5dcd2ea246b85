"""Words that tell the scene from the subject in a sentence, for `split_prompt`."""

from __future__ import annotations

from ..maps.object_words import COLOURS, NUMBERS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    """Phrases with commas between, the longest first."""
    found = (tuple(phrase.split()) for phrase in text.split(","))
    return tuple(sorted(found, key=len, reverse=True))


PREPOSITIONS = _phrases("""
    in front of, in the middle of, in the midst of, in the center of, in the centre of, at the edge of, at
    the foot of, at the top of, at the bottom of, at the back of, on the back of, on the side of, by the
    side of, on the edge of, on the shore of, on top of, next to, close to, far from, inside of, outside
    of, surrounded by, in, on, at, by, near, beside, behind, under, underneath, beneath, below, above,
    over, across, along, alongside, amid, amidst, among, amongst, against, around, inside, outside,
    within, atop, through, throughout, between, beyond, during, past, into, onto, up, down
""")
"""Words before a place or a time."""

ARTICLES = _words("a an the this that these those some many several his her its their my your our") | {
    number for number in NUMBERS if not number.isdigit()
}
"""Words that begin a thing's name."""

TIMES = _words("""
    night midnight day daytime noon midday dawn dusk twilight sunset sunrise sundown morning evening
    afternoon winter summer spring autumn fall christmas halloween
""")
"""Times: one before the sentence leaves room for a place within it."""

SCENES = TIMES | _words("""
    forest forests wood woods jungle meadow field fields garden park lawn grass mountain mountains hill
    hills valley canyon desert beach sea ocean lake river pond shore coast island waterfall sky clouds
    snow rain fog mist storm ice street streets road city town village skyline alley market square bridge
    castle church kitchen bedroom bathroom living room room office library museum stadium studio stage
    cave space universe moon farm barn backyard landscape scenery background backdrop ruins countryside
    trees sand dunes
""")
"""Places that need no preposition after a comma: a dog jumping, snowy forest."""

_CLOTHES = _words("""
    suit dress shirt t-shirt tshirt blouse coat jacket sweater hoodie jumper cardigan vest jeans trousers
    pants shorts skirt uniform costume hat cap helmet hood mask glasses sunglasses goggles scarf tie
    gloves boots shoes sneakers sandals heels socks slippers bikini swimsuit trunks pajamas pyjamas robe
    gown kimono sari kilt tuxedo armor armour apron overalls outfit clothes clothing underwear leather
    denim lace silk stripes spacesuit raincoat leggings tights disguise cape
""")
_BODY = _words("""
    head back hand arm shoulder leg mouth lap foot feet paw neck face hair ear eye nose wrist finger chest
    knee belly side tail teeth beak lips cheek toe forehead elbow hip hoof hooves all-fours fours tiptoe
    tiptoes
""")
_RIDDEN = _words("""
    horse horseback pony donkey camel elephant bike bicycle motorbike motorcycle scooter skateboard
    surfboard snowboard ski skis skates unicycle tricycle moped
""")
_MANNER = _words("air style manner fashion foreground camera viewer phone stick skewer leash cob")
SUBJECT_PARTS = _CLOTHES | _BODY | _RIDDEN | _MANNER | COLOURS
"""Nouns of phrases that belong to the subject: a man in a suit, hot dog on a stick, a woman on a horse."""

BARE_SUBJECT_PARTS = _words("""
    love flight motion bloom pieces colour color detail midair mid-air focus pain silence pairs formation
    line row fire display ease rest once least all half circles it itself them him her me you us
""")
"""Nouns that belong to the subject if they stand alone: a car on fire, but a cat by the fire."""

CARRIERS = _words("""
    plate bowl cup teacup mug glass vase basket pot box jar bottle tray dish bag bucket cage crib cradle
    wheelchair stroller boat canoe kayak rowboat raft saddle towel cushion pillow blanket mat
""")
"""Things that hold the subject, and belong to it if a place follows: a cake on a plate on a table."""

LEAD_INS: dict[str, frozenset[str]] = {
    "at": _words("""
        look looks looking stare stares staring smiles smiling gazes gazing waving barking pointing
        laughing shouting aiming peeking glaring yelling good
    """),
    "in": _words("covered wrapped dressed drenched soaked clad engulfed made bathed coated painted carved"),
    "on": _words("putting trying turning pulling chewing nibbling focusing based"),
    "into": _words("turning transforming looking changing biting made carved"),
    "over": _words("bending bends turning flipping"),
    "through": _words("looking looks peering"),
    "up": _words("picking picks dressing waking curling giving"),
    "down": _words("looking looks putting"),
    "by": _words("""
        side painted drawn made designed created written photographed followed chased carried held pulled
        ridden driven thrown eaten led
    """),
    "around": _words("looking looks turning"),
    "behind": _words("looking looks left"),
}
"""Words that make what follows part of the subject's action: looking at, covered in, painted by."""

NEEDS_ARTICLE = _words("by up down past around")
"""Prepositions that begin a place only before an article: by the sea, but by Monet; down a street."""

NOUNS_IN_ING = _words("""
    building ceiling evening morning spring railing clothing painting wing ring king string swing
    lightning crossing landing opening clearing dwelling awning thing surrounding wedding during sibling
    duckling pudding stocking earring sling being
""")
ROOMS_IN_ING = _words("""
    room lot pool trail mall table rink alley pier path board machine area site hall centre center street
    court field ground grounds track house spot park desk chair
""")
"""Nouns that form one name with a word in -ing before them: living room, parking lot."""

VERBS_OF_SCENES = _words("""
    leading overlooking surrounding facing glowing stretching containing raining snowing falling blooming
    shining burning towering looming hanging rising setting crashing
""")
"""What places do, which is not the subject's action: a street leading to a castle."""
