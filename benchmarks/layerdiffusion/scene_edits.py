"""Edits of the miniature's scenes that LayerDiffusion is measured on, and the jury that judges them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.files import file_hash
from ...core.maps.objects import objects_of
from ...core.maps.palettes import COCO_STUFF
from ...miniature.model import judges
from ...miniature.model.subjects import SMALLEST
from ...miniature.world.backgrounds import BACKGROUNDS, PLACES, draw_background
from ...miniature.world.scene import Scene, SceneObject
from ...miniature.world.scenes import scene
from ...miniature.world.things import ACTIONS, COLOURS, KINDS, SUBJECTS, THINGS, object_phrase
from ...training.loop.cache import cached, code_hash
from ...training.models import sampling

SIZE = 64
ACTION, COLOUR = "action", "colour"
VARIANTS = tuple(f"{skin} {kind}" for skin in ("light", "medium", "dark") for kind in ("man", "woman"))
LESSONS = 1200  # people that the judge of skin and hair learns from
BACKDROPS = 60  # of each place, that its labels are known by
SMALLEST_SEEN = 12  # pixels of an object from which on it counts as there
UNREADABLE = "umbrella"  # the segmenter sees its shade and its stick as two things
CHECKS = ("action", "background", "identity", "success")


@dataclass(frozen=True, eq=False)
class SceneEdit:
    """A photo of one subject that is to do, or to be, something else, somewhere else.

    kind: ACTION or COLOUR. wanted: the action or the colour. reference: uint8 (H, W, 3), the new place.
    """

    photo: Scene
    kind: str
    wanted: str
    place: str
    reference: np.ndarray

    @property
    def subject(self) -> SceneObject:
        return self.photo.objects[0]

    @property
    def object(self) -> str:
        """The object text: "a dancing person"."""
        changed = {"action": self.wanted} if self.kind == ACTION else {"colour": self.wanted}
        return object_phrase(self.subject.name, **changed)

    @property
    def background(self) -> str:
        """The background text: "on the beach"."""
        return PLACES[self.place].phrase

    @property
    def prompt(self) -> str:
        return f"{self.object} {self.background}"

    @cached_property
    def mask(self) -> Tensor:
        """(H, W), 1 on the subject."""
        return torch.from_numpy(self.subject.mask).float()


def edits_of(count: int, split: str = "test") -> list[SceneEdit]:
    """Edits of scenes that training never saw; every second one of an action, the others of a colour."""
    found: list[SceneEdit] = []
    seed = 0
    while len(found) < count:
        drawn = scene(seed, SIZE, count=1, split=split, things=SUBJECTS)
        subject = drawn.objects[0]
        kind = COLOUR if len(found) % 2 else ACTION
        is_fit = max(subject.box[2:]) >= SMALLEST * SIZE and subject.name != UNREADABLE
        if is_fit and (subject.name == "person") == (kind == ACTION):
            found.append(_edit(drawn, kind, np.random.default_rng(seed)))
        seed += 1
    return found


def _edit(photo: Scene, kind: str, rng: np.random.Generator) -> SceneEdit:
    subject = photo.objects[0]
    now, choices = (
        (subject.action, ACTIONS) if kind == ACTION else (subject.colour, KINDS[subject.name].colours)
    )
    wanted = str(rng.choice([other for other in choices if other != now]))
    place = str(rng.choice([other for other in BACKGROUNDS if other != photo.background]))
    reference = draw_background(place, rng.uniform(*PLACES[place].horizon), SIZE, rng).pixels
    return SceneEdit(photo, kind, wanted, place, reference)


class EditJury:
    """The miniature's judges, which read what an edited picture shows and compare it with what was asked.

    The place is told by the labels that the segmenter sees, skin and hair by a linear layer on the
    classifier's features, learnt from training scenes and kept in `work`.
    """

    def __init__(self, weights: Path, work: Path, device: torch.device) -> None:
        self.device = device
        self.segmenter, self.classifier = judges.load_judges(weights, device)
        self.places = torch.stack([_known_by(place) for place in BACKGROUNDS])
        files = sorted((weights / "judges").glob("*.safetensors"))
        causes = {"judges": file_hash(*files), "code": code_hash(__name__)}
        self.variant = cached(work, "variants", causes, self._learn)

    @torch.no_grad()
    def verdicts(self, pixels: Tensor, edit: SceneEdit) -> dict[str, Tensor]:
        """Judge pictures (B, 3, H, W) in [0, 1]: each of CHECKS, `text` and `similarity`; (B,) each.

        action: the subject does, or has the colour of, what was asked. text: the share of subject, action
        and place in the prompt that are right. similarity: 1 less the mean difference from the reference
        where no object is.
        """
        labels = self.segmenter(pixels).argmax(1).cpu()
        reference = sampling.from_arrays([edit.reference])[0].to(pixels)
        rows: dict[str, list[float]] = {name: [] for name in (*CHECKS, "text", "similarity")}
        for picture, seen in zip(pixels, labels, strict=True):
            read = self._read(picture, seen, edit)
            there = BACKGROUNDS[int((self.places - _shares(seen)).abs().sum(1).argmin())] == edit.place
            free = ~torch.isin(seen, THING_LABELS).to(pixels.device)
            difference = (picture - reference).abs().mean(0)[free].mean() if free.any() else torch.ones(())
            checks = {"action": read["action"], "background": there, "identity": read["identity"]}
            values = checks | {"success": all(checks.values()), "similarity": 1 - difference.item()}
            values["text"] = (read["thing"] + read["action"] + there) / 3
            for name, value in values.items():
                rows[name].append(float(value))
        return {name: torch.tensor(values) for name, values in rows.items()}

    def _read(self, picture: Tensor, labels: Tensor, edit: SceneEdit) -> dict[str, bool]:
        """Judge the largest object: whether thing, action and identity are right."""
        subject, crop = edit.subject, self._largest(picture, labels)
        if crop is None:
            return {"thing": False, "action": False, "identity": False}
        heads = {name: int(logits.argmax()) for name, logits in self.classifier(crop).items()}
        thing = THINGS[heads["thing"]] == subject.name
        names = ACTIONS if edit.kind == ACTION else COLOURS
        action = thing and names[heads[edit.kind]] == edit.wanted
        alike = edit.kind == COLOUR or VARIANTS[int(self._variant(crop).argmax())] == subject.variant
        return {"thing": thing, "action": action, "identity": thing and alike}

    def _largest(self, picture: Tensor, labels: Tensor) -> Tensor | None:
        """The classifier's crop (1, 3, 32, 32) of the largest object in a map of labels; None of none."""
        shown = objects_of(torch.isin(labels, THING_LABELS).numpy(), ignore=[0])
        if not shown or shown[0].area < SMALLEST_SEEN:
            return None
        box = shown[0].box
        corners = torch.tensor([[box.x, box.y, box.right, box.bottom]], device=self.device).float()
        return judges.crop(picture[None], corners)

    def _variant(self, crops: Tensor) -> Tensor:
        """Logits over VARIANTS of crops (B, 3, 32, 32)."""
        weight, bias = (self.variant[name].to(self.device) for name in ("weight", "bias"))
        return F.linear(self.classifier.features(crops), weight, bias)

    @torch.no_grad()
    def _people(self) -> tuple[Tensor, Tensor]:
        """The classifier's features (N, D) of people in training scenes, and their variants (N,)."""
        features, variants, seed = [], [], 0
        while len(features) < LESSONS:
            drawn = scene(seed, SIZE, count=1, things=SUBJECTS)
            seed += 1
            (subject,) = drawn.objects
            if subject.name != "person" or max(subject.box[2:]) < SMALLEST * SIZE:
                continue
            picture = sampling.from_arrays([drawn.image])[0].to(self.device)
            crop = self._largest(picture, self.segmenter(picture[None]).argmax(1)[0].cpu())
            if crop is not None:
                features.append(self.classifier.features(crop)[0])
                variants.append(VARIANTS.index(subject.variant))
        return torch.stack(features), torch.tensor(variants, device=self.device)

    def _learn(self) -> dict[str, Tensor]:
        """Logistic regression on the classifier's features, which it leaves as they are."""
        features, variants = self._people()
        mean, spread = features.mean(0), features.std(0)
        torch.manual_seed(0)
        layer = nn.Linear(features.shape[1], len(VARIANTS)).to(self.device)
        optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
        for _ in range(500):
            loss = F.cross_entropy(layer((features - mean) / spread), variants)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        weight = layer.weight.detach() / spread
        return {"weight": weight.cpu(), "bias": (layer.bias.detach() - weight @ mean).cpu()}


THING_LABELS = torch.tensor([COCO_STUFF.index(name) for name in THINGS])


def _known_by(place: str) -> Tensor:
    """The mean share of each label in backdrops of a place."""
    shares = []
    for number in range(BACKDROPS):
        rng = np.random.default_rng(number)
        drawn = draw_background(place, rng.uniform(*PLACES[place].horizon), SIZE, rng)
        shares.append(_shares(torch.from_numpy(drawn.labels)))
    return torch.stack(shares).mean(0)


def _shares(labels: Tensor) -> Tensor:
    """The share of each label (L,) in what is no thing of a map (H, W)."""
    counts = torch.bincount(labels.flatten().long(), minlength=len(COCO_STUFF.labels)).float()
    counts[THING_LABELS] = 0
    return counts / counts.sum().clamp(min=1)
