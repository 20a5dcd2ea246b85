"""Tables of words that prompts use for the labels of palettes, and of words that only look like objects."""

from __future__ import annotations


def _table(text: str) -> dict[str, list[str]]:
    """The entries "label: word, word; label: ..." as {label: words}."""
    entries = [entry.partition(":") for entry in text.split(";")]
    return {label.strip(): _listed(words) for label, _, words in entries}


def _listed(text: str) -> list[str]:
    return [" ".join(item.split()) for item in text.split(",")]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COCO_STUFF_WORDS: dict[str, list[str]] = _table("""
    person: persons, man, woman, boy, girl, child, kid, baby, toddler, teenager, adult, lady, gentleman, guy,
    human, pedestrian, passenger, tourist, crowd, couple, family, player, football player, soccer player,
    baseball player, basketball player, tennis player, volleyball player, keyboard player, rider, horse rider,
    bike rider, cyclist, biker, skier, snowboarder, skateboarder, surfer, kite surfer, swimmer, dancer,
    batter, baseball pitcher, baseball catcher, umpire, athlete, chef, waiter, waitress, farmer, fisherman,
    policeman, policewoman, police officer, firefighter, fireman, soldier, doctor, nurse, teacher, student,
    businessman, businesswoman, bride, groom, mother, father, mom, dad, grandmother, grandfather, son,
    daughter, prince, princess, knight, cowboy, driver, bus driver, truck driver, taxi driver;
    bicycle: bike, mountain bike, tricycle; car: automobile, taxi, cab, sedan, limousine, jeep, suv, van,
    minivan, hatchback, station wagon, convertible, sports car, police car, race car;
    motorcycle: motorbike, motor bike, motor cycle, moped, scooter, minibike, dirt bike;
    airplane: plane, aeroplane, air plane, jet, jetliner, airliner, aircraft, biplane, seaplane;
    bus: school bus, double decker, double decker bus, minibus, trolleybus; train: locomotive, steam engine,
    subway, tram, streetcar, railcar, train car, train engine; truck: lorry, pickup, pickup truck, pick up
    truck, fire truck, fire engine, firetruck, dump truck, food truck, tow truck, semi truck, ambulance;
    boat: ship, sailboat, sail boat, rowboat, row boat, yacht, canoe, kayak, ferry, gondola, speedboat,
    motorboat, motor boat, fishing boat, barge, dinghy;
    traffic light: traffic signal, stoplight, stop light; fire hydrant: hydrant;
    street sign: road sign, traffic sign; stop sign: stopsign; bench: pew;
    bird: pigeon, seagull, gull, duck, duckling, goose, gosling, swan, parrot, eagle, hawk, owl, crow, raven,
    sparrow, hen, rooster, flamingo, pelican, peacock, penguin, ostrich, hummingbird, heron, stork, dove;
    cat: kitten, kitty, tabby; dog: puppy, pup, hound, doggy, poodle, terrier, labrador, bulldog, beagle,
    dalmatian, german shepherd, golden retriever, corgi, husky, chihuahua, dachshund, pug, sheepdog, sheep
    dog; horse: pony, foal, stallion, mare, colt; sheep: lamb, ram, ewe; cow: cattle, bull, calf, ox, bison;
    bear: polar bear, panda, panda bear, grizzly, grizzly bear, bear cub;
    hat: cap, baseball cap, baseball hat, beanie, fedora, top hat, cowboy hat, straw hat;
    backpack: rucksack, knapsack; umbrella: parasol; shoe: boot, sneaker, sandal, footwear, high heel;
    eye glasses: glasses, eyeglasses, spectacles, sunglasses, sun glasses, goggles;
    handbag: purse, hand bag; tie: necktie, neck tie, bow tie; suitcase: luggage, baggage, briefcase;
    frisbee: flying disc; skis: ski; sports ball: ball, football, soccer ball, basketball, baseball, tennis
    ball, volleyball, beach ball, rugby ball, golf ball; baseball bat: bat; baseball glove: baseball mitt,
    catcher mitt; skateboard: longboard; surfboard: surf board, paddleboard, boogie board;
    tennis racket: tennis racquet, racket, racquet; bottle: wine bottle, beer bottle, water bottle, flask;
    plate: saucer; wine glass: wineglass, champagne glass, goblet, glass of wine, glasses of wine;
    cup: mug, coffee cup, tea cup, teacup, paper cup, plastic cup, glass of, glasses of, tumbler;
    knife: butter knife; spoon: teaspoon, tablespoon, ladle; sandwich: burger, hamburger, cheeseburger;
    orange: tangerine, clementine, orange slice, orange fruit; hot dog: hotdog; pizza: pizza slice;
    donut: doughnut; cake: cupcake, birthday cake, wedding cake, cheesecake, carrot cake, chocolate cake;
    chair: armchair, arm chair, stool, recliner, wheelchair; couch: sofa, settee, loveseat, love seat;
    potted plant: house plant, houseplant, flower pot, flowerpot, bonsai; bed: bunk bed, crib, cot;
    dining table: dinner table, dining room table, kitchen table; toilet: toilet bowl, toilet seat, urinal;
    tv: television, telly, tv set, television set, tv screen, computer monitor, monitor;
    laptop: laptop computer, notebook computer, computer; mouse: computer mouse; remote: remote control, tv
    remote, wii remote, game controller; keyboard: computer keyboard; cell phone: phone, smartphone, smart
    phone, mobile phone, cellphone, telephone; microwave: microwave oven; oven: stove, cooker;
    sink: washbasin, wash basin; refrigerator: fridge, freezer; book: novel, textbook; clock: alarm clock;
    vase: urn, amphora, flower vase; scissors: scissor, shears, pair of scissors;
    teddy bear: teddy, teddybear, stuffed bear, stuffed animal, plush bear, plush toy;
    hair drier: hair dryer, hairdryer, blow dryer; hair brush: hairbrush, comb; banner: billboard, flag;
    blanket: quilt, duvet, comforter, bedspread; branch: twig; building-other: tower, church, barn, castle,
    temple, cathedral, factory, skyline; bush: shrub, hedge; cardboard: box, carton, cardboard box;
    clothes: clothing, laundry; clouds: cloud; counter: countertop, counter top; cupboard: wardrobe, closet;
    curtain: drape; dirt: soil, dirt road, dirt path; floor-wood: wooden floor, hardwood floor, parquet;
    floor-tile: tiled floor; floor-stone: brick floor; flower: rose, tulip, daisy, sunflower, blossom,
    bouquet, orchid; fog: mist, haze; food-other: meal, bread, meat, cheese, soup, egg, pasta, rice, french
    fries, apple pie; fruit: grape, strawberry, pear, lemon, lime, pineapple, watermelon, melon, peach, berry,
    cherry, mango, plum; grass: lawn, meadow, pasture; hill: hillside; house: cottage, cabin, hut, bungalow,
    villa, mansion; leaves: leaf, foliage; light: lamp, street light, streetlight, street lamp, lamppost, lamp
    post, light bulb, chandelier, lantern; mat: doormat; mountain: mountain range, mountainside;
    napkin: serviette, paper towel; net: netting; paper: newspaper, document; pavement: sidewalk, walkway,
    footpath; pillow: cushion; plant-other: fern, cactus; platform: train platform;
    playingfield: playing field, sports field, baseball field, football field, soccer field, tennis court,
    basketball court; railing: handrail, banister; railroad: railway, train track, railroad track, railway
    track; river: stream, creek, brook; road: street, highway, freeway, avenue; rock: boulder, cliff;
    roof: rooftop; sand: beach, desert; sea: ocean; shelf: bookshelf, bookcase, book shelf;
    sky-other: blue sky; stairs: stair, staircase, stairway, steps; stone: pebble, cobblestone; straw: hay;
    table: coffee table, side table, picnic table, nightstand; textile-other: fabric; towel: bath towel;
    tree: palm tree, pine tree, palm, christmas tree, forest; vegetable: tomato, potato, onion,
    cucumber, lettuce, cabbage, pumpkin, pepper, corn; wall-brick: bricks; wall-tile: tiled wall;
    wall-wood: wooden wall; water-other: lake, pond, puddle, swimming pool, waterfall, fountain;
    waterdrops: water drop, raindrop, droplet; window-blind: blind, shutter; wood: log, timber, firewood
""")
"""Words for COCO-Stuff's labels. Worn clothes are left out, because COCO-Stuff counts them to the person."""

ADE20K_WORDS: dict[str, list[str]] = _table("""
    ashcan: trash can, garbage can, dustbin, wastebasket; bathtub: bath, tub; apparel: dress, shirt, jacket,
    coat, skirt; streetlight: street light, street lamp, lamppost; painting: framed picture;
    washer: washing machine; plaything: toy, doll; sculpture: statue; fan: ceiling fan; palm: palm tree;
    conveyer belt: conveyor belt; swivel chair: office chair; pot: flowerpot, flower pot; hovel: hut, shack;
    swimming pool: pool; chest of drawers: dresser; animal: fox, wolf, lion, tiger, monkey, rabbit, deer,
    goat, pig, camel, fish, squirrel
""")
"""Words for ADE20K's labels that COCO-Stuff's words do not already lead to."""

CELEBAMASK_WORDS: dict[str, list[str]] = _table("""
    skin: face; eye_g: glasses, eyeglasses, eye glasses, spectacles, sunglasses; l_eye: left eye, eye;
    r_eye: right eye, eye; l_brow: left eyebrow, eyebrow, brow; r_brow: right eyebrow, eyebrow, brow;
    l_ear: left ear, ear; r_ear: right ear, ear; u_lip: upper lip, lip; l_lip: lower lip, lip; mouth: teeth;
    hat: cap, helmet, beanie; ear_r: earring; neck_l: necklace; cloth: clothes, clothing, shirt, dress,
    jacket, suit, coat, sweater, blouse
""")
"""Words for CelebAMask-HQ's labels; a word for a paired part, such as eyes, names both labels."""

PLURALS: dict[str, list[str]] = _table("""
    person: people; man: men; woman: women; human: humans; child: children; mouse: mice; goose: geese;
    ox: oxen; sheep: sheep; cattle: cattle; bison: bison; aircraft: aircraft; fish: fish; deer: deer;
    knife: knives; shelf: shelves; leaf: leaves; calf: calves; wolf: wolves; tomato: tomatoes;
    potato: potatoes; mango: mangoes; scissors: scissors
""")
"""Irregular plurals."""

WIDER: dict[str, list[str]] = _table("""
    table: dining table; plant-other: potted plant; building-other: house, skyscraper; sky-other: clouds;
    fruit: apple, banana, orange; vegetable: broccoli, carrot; water-other: river, sea
""")
"""Narrower labels that also count as a wider label of COCO-Stuff: a dining table is a table."""

NO_OBJECTS: list[str] = _listed("""
    couple of, bus stop, bus station, train station, car park, parking lot, dog house, bird house, cat food,
    dog food, pet food, table tennis, football match, football game, football stadium, baseball game, baseball
    match, baseball stadium, baseball uniform, basketball game, record player, music player, orange juice,
    apple juice, fruit juice, pizza box, mouse pad, rock music, rock band, painting of, oil painting, digital
    painting, rim light, ambient light, natural light, soft light, volumetric light, studio light, cinematic
    light, golden light, warm light, morning light, cat eye, tie dye, paper art
""")
"""Phrases that contain a label's name but name no object."""

NO_NOUNS = _words("solid structural")
"""Beginnings of labels that name no object without their ending."""

MATERIALS = _words("orange straw wood metal plastic paper stone cardboard cloth glass")
"""Labels that may describe the next word: an orange shirt, a stone bridge."""

LEADING = _words("baby light mother rock water")
"""Labels that describe the next word only if that is an object or a colour: a baby bear, light blue."""

COLOURS = _words("""
    red yellow green blue purple pink brown black white grey gray orange golden silver beige
""")

BETWEEN = _words("""
    and or but on in at with without of off next near beside by behind under above below over across along to
    from for against around between inside outside atop onto into through left right is are was were lies sits
    stands has that which while as the a an
""")
"""Words that do not let a material before them describe what follows: an orange on a plate."""

NUMBERS: dict[str, int] = {
    word: int(number)
    for number, words in _table("""
        1: a, an, one, another; 2: two, both, pair, couple; 3: three; 4: four; 5: five; 6: six; 7: seven;
        8: eight; 9: nine; 10: ten; 11: eleven; 12: twelve, dozen
    """).items()
    for word in (number, *words)
}
"""Words and figures that count objects."""
