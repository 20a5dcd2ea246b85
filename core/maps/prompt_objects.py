"""Prompt objects are the labels of a palette that a prompt names.

A word or phrase names a label if it is the label's name, that name without its ending ("sky" for sky-other),
another word for it (`object_words`) or a plural of these. The longest phrase counts, so a hot dog is not a
dog. The module knows little grammar beyond that; the list is meant to be shown and edited.
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
ENDINGS = ("other", "stuff")  # endings of labels for everything that the more special labels leave out


def objects_in(prompt: str, palette: Palette) -> list[str]:
    """The labels of a palette that a prompt names, in the order of the prompt, each once.

    Emphasis such as (word:1.2) is read as the word; embedding:name and <lora:name> are ignored; commas, full
    stops and BREAK end a phrase. Objects after "no" or "without" are left out.
    """
    return list(counts_in(prompt, palette))


def counts_in(prompt: str, palette: Palette) -> dict[str, int]:
    """How many of each object a prompt asks for at least, in the order of the prompt.

    Numbers and articles before an object are added up: "two dogs and a dog" gives 3. Without any it is 1.
    """
    counts: dict[str, int] = {}
    for labels, number in _mentions(prompt, palette):
        for label in labels:
            counts[label] = counts.get(label, 0) + number
    return {label: max(1, count) for label, count in counts.items()}


def labels_from(text: str, palette: Palette) -> list[int]:
    """The indices of the labels in a list of names or other words for them, in its order, each once.

    text: names separated by commas, semicolons or line breaks. Raises ValueError that lists the names that
    are not in the palette, each with the closest ones that are.
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
    """For the name of each wanted label, all labels that count as it in a map, as `recall.ranked` takes them.

    A wall may be wall-brick, and a door in COCO-Stuff's own maps is always door-stuff. So every label with
    the same beginning, and every label in `object_words.WIDER`, counts as a label without ending or with
    -other or -stuff. Labels with the same colour count as each other, such as ADE20K's road and skyscraper.
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
    """Yield the labels of each word or phrase that names an object, and the number before it, 0 if none."""
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
    """The start and end of each phrase in the lexicon, from left to right; at each start the longest."""
    spans, start = {}, 0
    while start < len(words):
        ends = range(min(start + longest, len(words)), start, -1)
        end = next((end for end in ends if words[start:end] in lexicon), None)
        if end is not None:
            spans[start] = end
        start = end or start + 1
    return spans


def _qualifies(words: Words, start: int, end: int, spans: dict[int, int]) -> bool:
    """Whether a word only describes the next one."""
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
    """The labels of every phrase, () for a phrase that names none. Names take precedence over other words."""
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
    """Add the names of labels, then their plurals, unless the lexicon already knows them."""
    phrases = [(label, tuple(word for words in _phrases(name) for word in words)) for label, name in named]
    phrases = [(label, words) for label, words in phrases if words]
    for forms in (phrases, [(label, (*words[:-1], _plural(words[-1]))) for label, words in phrases]):
        new: dict[Words, Words] = {}
        for label, words in forms:
            new[words] = (*new.get(words, ()), label)
        lexicon |= {words: labels for words, labels in new.items() if words not in lexicon}


def _short_names(palette: Palette) -> Iterator[tuple[str, str]]:
    """Yield labels without the ending -other or -stuff; other endings are put in front: brick wall."""
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
