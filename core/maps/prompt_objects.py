"""The objects that a prompt names, as labels of a palette.

A word or phrase stands for a label when it is the label's name, that name without its ending ("sky" for
sky-other), another word for it (`object_words`) or a plural of these. The longest phrase counts, so that a
hot dog is no dog. Little grammar is known beyond that; the list is meant to be shown and edited.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from .conversion import NOTHING, counterparts
from .object_words import (
    ADE20K_WORDS,
    BETWEEN,
    CELEBAMASK_WORDS,
    COCO_STUFF_WORDS,
    COLOURS,
    LEADING,
    MATERIALS,
    NO_NOUNS,
    NO_OBJECTS,
    NUMBERS,
    PLURALS,
    WIDER,
)
from .palettes import ADE20K, CELEBAMASK, COCO_STUFF, Palette

Words = tuple[str, ...]
ENDINGS = ("other", "stuff")  # of labels for what the other labels leave out


def objects_in(prompt: str, palette: Palette) -> list[str]:
    """The palette's labels that a prompt names, in the prompt's order, each once.

    Emphasis such as (word:1.2) is seen through; embedding:name and <lora:name> are no words; commas, full
    stops and BREAK end a phrase. What follows "no" or "without" is left out.
    """
    return list(counts_in(prompt, palette))


def counts_in(prompt: str, palette: Palette) -> dict[str, int]:
    """How many of each object a prompt asks for at least, in the prompt's order.

    The numbers and articles before an object are added up: 3 in "two dogs and a dog". Without any it is 1.
    """
    counts: dict[str, int] = {}
    for labels, number in _mentions(prompt, palette):
        for label in labels:
            counts[label] = counts.get(label, 0) + number
    return {label: max(1, count) for label, count in counts.items()}


def labels_from(text: str, palette: Palette) -> list[int]:
    """Indices of the labels in a list of names or of other words for them, each once, in its order.

    text: separated by commas, semicolons or line ends. Raises ValueError that tells the names that the
    palette does not know, with the closest that it knows.
    """
    lexicon = _lexicon(palette)
    found: list[str] = []
    unknown: list[str] = []
    for name in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        words = tuple(word for phrase in _phrases(name) for word in phrase)
        while words and words not in lexicon and (words[0] in NUMBERS or words[0] == "the"):
            words = words[1:]
        labels = (name,) if name in palette.labels else lexicon.get(words, ())
        found += labels
        unknown += [] if labels else [repr(name) + _hint(name, palette)]
    if unknown:
        raise ValueError(
            f"objects: the palette {palette.name} has no {', no '.join(unknown)}; use its labels or common"
            " words for them"
        )
    return [palette.index(label) for label in dict.fromkeys(found)]


def shown_by(labels: Iterable[int], palette: Palette) -> dict[str, list[int]]:
    """For each wanted label, by name, all labels that show it in a map, as `recall.ranked` takes them.

    A wall may be wall-brick, and a door in COCO-Stuff's own maps is always door-stuff, so a label without
    ending, or with -other or -stuff, is shown by every label with the same beginning, and by those in
    `object_words.WIDER`. Labels painted in one colour show each other, as ADE20K's road and skyscraper do.
    """
    return {palette.labels[label]: _showing(label, palette) for label in labels}


def _showing(index: int, palette: Palette) -> list[int]:
    label, alike = palette.labels[index], {index}
    beginning, _, ending = label.partition("-")
    if palette.labels == COCO_STUFF.labels and ending in ("", *ENDINGS):
        alike |= {i for i, other in enumerate(palette.labels) if other.partition("-")[0] == beginning}
        alike |= {palette.index(other) for other in WIDER.get(label, ())}
    colours = {palette.colours[i] for i in alike}
    return [i for i, colour in enumerate(palette.colours) if colour in colours]


def _mentions(prompt: str, palette: Palette) -> Iterator[tuple[Words, int]]:
    """The labels of each word or phrase that names an object, and the number before it, 0 without."""
    lexicon = _lexicon(palette)
    longest = max(map(len, lexicon), default=0)
    for words in _phrases(prompt):
        spans = _spans(words, lexicon, longest)
        last = 0
        for start, end in spans.items():
            labels = tuple(label for label in lexicon[words[start:end]] if label not in NOTHING)
            if labels and not _qualifies(words, start, end, spans) and not _denied(words[:start]):
                numbers = [NUMBERS[word] for word in words[last:start] if word in NUMBERS]
                yield labels, numbers[-1] if numbers else 0
                last = end


def _spans(words: Words, lexicon: dict[Words, Words], longest: int) -> dict[int, int]:
    """Start and end of the phrases that the lexicon knows, from left to right, the longest first."""
    spans, start = {}, 0
    while start < len(words):
        ends = range(min(start + longest, len(words)), start, -1)
        end = next((end for end in ends if words[start:end] in lexicon), None)
        if end is not None:
            spans[start] = end
        start = end or start + 1
    return spans


def _qualifies(words: Words, start: int, end: int, spans: dict[int, int]) -> bool:
    """Whether a word only says what the next one is like."""
    word, rest = words[start], words[end:]
    if not rest or end > start + 1 or word not in MATERIALS | LEADING:
        return False
    following = rest[1] if len(rest) > 1 and rest[0] == "and" else rest[0]
    if following in COLOURS or end in spans:
        return True
    return word in MATERIALS and rest[0] not in BETWEEN and not rest[0].endswith("ing")


def _denied(before: Words) -> bool:
    words = [word for word in before[-3:] if word not in ("a", "an", "any", "the")]
    return words[-1:] in (["no"], ["without"])


def _phrases(text: str) -> list[Words]:
    """The words between punctuation marks, in lower case, without ComfyUI's prompt syntax."""
    text = re.sub(r"\bembedding:[^\s,()\[\]]+|<[^<>]*>|\bBREAK\b", "|", text)
    text = re.sub(r":\s*[-+]?[\d.]+\s*(?=[)\]])", "", text)  # the weight in (word:1.2)
    text = re.sub(r"[-_()\[\]{}\\]", " ", text.lower())
    text = re.sub(r"['’]s?\b", "", text)  # a dog's, dogs'
    text = re.sub(r"\b(\d+)(?=(girl|boy)s?\b)", r"\1 ", text)  # the tags 1girl, 2boys
    return [tuple(re.findall(r"\w+", phrase)) for phrase in re.split(r"[^\w\s]|\n", text)]


@lru_cache(maxsize=16)
def _lexicon(palette: Palette) -> dict[Words, Words]:
    """The labels of every phrase, () for those that name none. Names come before other words."""
    lexicon: dict[Words, Words] = {}
    _add(lexicon, ((label, label) for label in palette.labels))
    lexicon |= {words: () for (words,) in map(_phrases, NO_OBJECTS) if words not in lexicon}
    _add(lexicon, _short_names(palette))
    words = {ADE20K.labels: ADE20K_WORDS, CELEBAMASK.labels: CELEBAMASK_WORDS}.get(
        palette.labels, COCO_STUFF_WORDS
    )
    _add(lexicon, ((label, word) for label in palette.labels for word in _words_for(label, words)))
    if palette.labels == ADE20K.labels:
        to = counterparts(COCO_STUFF, palette)
        for phrase, labels in _lexicon(COCO_STUFF).items():
            known = tuple(to[label] for label in labels if to[label])
            if known:
                lexicon.setdefault(phrase, known)
    return lexicon


def _add(lexicon: dict[Words, Words], named: Iterable[tuple[str, str]]) -> None:
    """Add the names of labels, then their plurals, where the lexicon does not know them yet."""
    phrases = [(label, tuple(word for words in _phrases(name) for word in words)) for label, name in named]
    phrases = [(label, words) for label, words in phrases if words]
    for forms in (phrases, [(label, (*words[:-1], _plural(words[-1]))) for label, words in phrases]):
        new: dict[Words, Words] = {}
        for label, words in forms:
            new[words] = (*new.get(words, ()), label)
        lexicon |= {words: labels for words, labels in new.items() if words not in lexicon}


def _short_names(palette: Palette) -> Iterator[tuple[str, str]]:
    """A label without the ending -other or -stuff; with another ending, turned round: brick wall."""
    for label in palette.labels:
        beginning, _, ending = label.partition("-")
        if ending in ENDINGS and beginning not in NO_NOUNS:
            yield label, beginning
        elif ending and ending not in ENDINGS:
            yield label, f"{ending} {beginning}"


def _words_for(label: str, table: dict[str, list[str]]) -> list[str]:
    name = " ".join(label.lower().split())
    return table.get(label) or table.get(name) or table.get(f"{name}-other", [])


def _plural(word: str) -> str:
    if word in PLURALS:
        return PLURALS[word][0]
    if word.endswith(("man", "shelf")):
        return word[:-2] + "en" if word.endswith("man") else word[:-1] + "ves"
    if re.search("(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + "s"


def _hint(name: str, palette: Palette) -> str:
    name = " ".join(name.lower().split())
    close = difflib.get_close_matches(name, palette.labels)
    if not close:
        words = {" ".join(words): labels for words, labels in _lexicon(palette).items()}
        close = [
            label for word in difflib.get_close_matches(name, words, cutoff=0.8) for label in words[word]
        ]
    return f" (did you mean {' or '.join(dict.fromkeys(close))}?)" if close else ""
