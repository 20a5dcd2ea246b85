"""Splits a target sentence into the text of its object and the text of its background.

LayerDiffusion (section 3.2) optimises one embedding for each. A sentence is cut before prepositions of place
and time, before *with*, before verbs in -ing and at commas; each piece is counted to the subject or to the
scene by the rules below and the words in `scene_words`. Nothing is understood beyond that; the split is meant
to be shown and edited.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .scene_words import (
    ARTICLES,
    BARE_SUBJECT_PARTS,
    CARRIERS,
    LEAD_INS,
    NEEDS_ARTICLE,
    NOUNS_IN_ING,
    PREPOSITIONS,
    ROOMS_IN_ING,
    SCENES,
    SUBJECT_PARTS,
    TIMES,
    VERBS_OF_SCENES,
)

MARKS = frozenset(",;.")
HEAD_ENDS = MARKS | {"of", "that", "which", "and", "or", "while", "as", "when", "to"}
LAST_WORDS = frozenset(phrase[-1] for phrase in PREPOSITIONS)
FIRST_WORDS = frozenset(phrase[0] for phrase in PREPOSITIONS)
IN_THE_BACKGROUND = ("in", "the", "background")


@dataclass(frozen=True)
class EditPrompt:
    """The two texts of a target sentence; each is "" where the sentence has none."""

    object: str
    background: str


@dataclass(frozen=True)
class _Piece:
    """The words from one cut to the next.

    lead: the kind of cut before it: place, with, verb, mark, or "" at the beginning. skip: how many
    words (a preposition's, or a comma) come before its noun. before: the word before the piece.
    """

    words: tuple[str, ...]
    lead: str
    skip: int
    before: str

    @property
    def head(self) -> str:
        """Noun of the piece: the last word before another part of speech; "living room" is a room."""
        plain = [word if word in MARKS else _plain(word) for word in self.words[self.skip :]]
        end = next((i for i, word in enumerate(plain) if i and word in HEAD_ENDS), len(plain))
        return plain[end - 1] if end else ""

    def is_about(self, nouns: frozenset[str]) -> bool:
        """Tell whether its noun is one of `nouns`, or the plural of one."""
        return bool({self.head, self.head.removesuffix("s"), self.head.removesuffix("es")} & nouns)

    @property
    def is_place(self) -> bool:
        """Tell whether it is a place or a time, and not part of the subject or of its action."""
        if self.lead != "place":
            return False
        first, following = _plain(self.words[0]), self.words[self.skip :]
        if self.skip == 1 and self.before in LEAD_INS.get(first, ()):
            return False
        if first in NEEDS_ARTICLE and self.skip == 1 and _plain(following[0]) not in ARTICLES:
            return False
        is_bare = len(following) == 1 and self.head in BARE_SUBJECT_PARTS
        return not is_bare and not self.is_about(SUBJECT_PARTS)


def split_edit_prompt(prompt: str) -> EditPrompt:
    """Split a sentence such as "a dog jumping in a forest" into an object text and a background text.

    Words, weights such as (dog:1.2) and capitals stay as they are, and nothing is cut inside brackets. After
    a place at the beginning ("in a forest, a dog jumps over a log") the rest is the object, whole. Raises
    ValueError for a prompt without a word.
    """
    words = re.findall(r"[,;]|\.(?=\s|$)|(?:[^\s,;.]|\.(?!\s|$))+", prompt)
    if not any(map(_plain, words)):
        raise ValueError(f"prompt is empty, got {prompt!r}; write what the edited picture shows.")
    front, rest = _fronted(words)
    if front and not front.is_about(TIMES):
        return EditPrompt(_object_text(rest), _text(front.words[front.skip :]))
    pieces = _pieces(rest)
    judged = list(zip(_placed(pieces), pieces, strict=True))
    subject = [word for is_place, piece in judged if not is_place for word in piece.words]
    scene = [piece for is_place, piece in judged if is_place] + ([front] if front else [])
    background = [word for i, piece in enumerate(scene) for word in piece.words[0 if i else piece.skip :]]
    return EditPrompt(_object_text(subject), _text(background))


def _plain(word: str) -> str:
    return re.sub(r":[-+\d.]+(?=\)|$)|[^\w'’-]", "", word).lower()


def _text(words: Sequence[str]) -> str:
    joined = re.sub(r"\s+([,;.])", r"\1", " ".join(words))
    return re.sub(r"([,;.])[,;.]+", r"\1", joined).strip(" ,;.")


def _object_text(words: Sequence[str]) -> str:
    return re.sub(r"(?i)^there(?:\s+(?:is|are|was|were)|['’]s)\s+", "", _text(words))


def _begins_noun(word: str) -> bool:
    return _plain(word) in ARTICLES | {"there", "there's", "there’s"}


def _preposition(words: Sequence[str], start: int) -> int:
    """Count the words from `start` on that form a preposition with something after it; 0 for none."""
    lower = tuple(word.lower() for word in words[start : start + 6])
    for phrase in PREPOSITIONS:
        end = len(phrase)
        if lower[:end] == phrase and len(lower) > end and _plain(lower[end]):
            # of "up on the roof" and "lying down in a valley" only the second leads to the place
            return 0 if lower[end] in FIRST_WORDS else end
    return 0


def _fronted(words: list[str]) -> tuple[_Piece | None, list[str]]:
    """Split off a place or time at the beginning from the sentence after it."""
    skip = _preposition(words, 0)
    for i in range(skip + 1, len(words) + 1) if skip else ():
        if i == len(words):
            end = start = i
        elif words[i] == "," and ("," not in words[i + 1 :] or _begins_noun(words[i + 1])):
            end, start = i, i + 1
        elif _begins_noun(words[i]) and _plain(words[i - 1]) not in HEAD_ENDS | LAST_WORDS | {"", "with"}:
            end = start = i
        else:
            continue
        piece = _Piece((words[0].lower(), *words[1:end]), "place", skip, "")
        return (piece, words[start:]) if piece.is_place else (None, words)
    return None, words


def _pieces(words: list[str]) -> list[_Piece]:
    cuts, depth, taken = [(0, "", 0)], 0, 1
    for i, word in enumerate(words):
        if depth == 0 and i >= taken:
            skip = _preposition(words, i)
            if skip:
                cuts.append((i, "place", skip))
                taken = i + skip
            elif word in MARKS:
                cuts.append((i, "mark", 1))
            elif _plain(word) == "with":
                cuts.append((i, "with", 1))
            elif _is_verb(words, i):
                cuts.append((i, "verb", 0))
        depth += sum(word.count(sign) for sign in "([") - sum(word.count(sign) for sign in ")]")
    ends = [start for start, _, _ in cuts[1:]] + [len(words)]
    pieces: list[_Piece] = []
    for (start, lead, skip), end in zip(cuts, ends, strict=True):
        own = tuple(words[start:end])
        if tuple(map(_plain, own)) == IN_THE_BACKGROUND and pieces and pieces[-1].lead in ("with", "mark"):
            pieces[-1] = replace(pieces[-1], lead="place")
        else:
            pieces.append(_Piece(own, lead, skip, _plain(words[start - 1]) if start else ""))
    return pieces


def _is_verb(words: Sequence[str], i: int) -> bool:
    """Tell whether a word in -ing says what somebody does, and not what kind of thing something is."""
    word, before = _plain(words[i]), _plain(words[i - 1])
    after = _plain(words[i + 1]) if i + 1 < len(words) else ""
    if not word.endswith("ing") or word in NOUNS_IN_ING:
        return False
    return before not in ARTICLES | LAST_WORDS and after not in ROOMS_IN_ING


def _placed(pieces: list[_Piece]) -> list[bool]:
    """Tell for each piece whether it belongs to the scene; one without any sign goes with the one before."""
    placed: list[bool] = []
    for i, piece in enumerate(pieces):
        inherited = bool(placed) and placed[-1]
        if piece.lead == "place":
            # a cake on a plate is one thing if a table follows
            is_held = piece.is_about(CARRIERS) and any(other.is_place for other in pieces[i + 1 :])
            placed.append(piece.is_place and (inherited or not is_held))
        elif piece.lead == "verb":
            follows_place = pieces[i - 1].lead == "place" or len(pieces[i - 1].words) == 1
            is_deed = follows_place and _plain(piece.words[0]) not in VERBS_OF_SCENES
            placed.append(inherited and not is_deed)
        else:
            placed.append(inherited or (piece.lead == "mark" and piece.is_about(SCENES)))
    return placed
