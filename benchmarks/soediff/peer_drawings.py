"""What the peers have drawn: a picture a box, kept in a folder so that a run that was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ...core.files import replacing
from ...demo.client import ComfyClient, ComfyError, Prompt
from ...training.models import sampling
from .peer_prompts import SAVE

Clock = Callable[[], float]  # seconds of processor time that the server has used


@dataclass(frozen=True)
class PeerDrawing:
    """Which row draws which box of which size with which seed."""

    row: str
    size: str
    seed: int
    index: int

    @property
    def file(self) -> str:
        return f"{self.row}-{self.size}-{self.seed}-{self.index:04}.png"


class PeerDrawings:
    """All that is drawn: `seconds` and, of those that failed, `failures` by drawing.

    In the folder lie a PNG each, and `drawn.jsonl` with a line each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._log = folder, folder / "drawn.jsonl"
        self.seconds: dict[PeerDrawing, float] = {}
        self.failures: dict[PeerDrawing, str] = {}
        for line in self._log.read_text("utf-8").splitlines() if self._log.exists() else ():
            self._note(**json.loads(line))

    def draw(self, client: ComfyClient, clock: Clock, drawing: PeerDrawing, prompt: Prompt) -> None:
        """Run the prompt of a drawing, and keep its picture and the clock's seconds, or why it failed."""
        start, seconds, failure = clock(), 0.0, ""
        try:
            outputs = client.run(prompt)
            seconds = clock() - start
        except ComfyError as error:
            failure = str(error)
        else:
            (png,) = client.images(outputs)[SAVE]
            with replacing(self.folder / drawing.file) as path:
                path.write_bytes(png)
        entry = {"drawing": asdict(drawing), "seconds": seconds, "failure": failure}
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        self._note(**entry)

    def _note(self, drawing: dict[str, Any], seconds: float, failure: str) -> None:
        self.seconds[PeerDrawing(**drawing)] = seconds
        if failure:
            self.failures[PeerDrawing(**drawing)] = failure

    def pixels(self, drawings: Sequence[PeerDrawing], otherwise: Tensor) -> Tensor:
        """The pictures (N, 3, S, S) in [0, 1]; where a prompt failed those of `otherwise`."""
        found = otherwise.clone()
        for row, drawing in enumerate(drawings):
            if drawing not in self.failures:
                with Image.open(self.folder / drawing.file) as picture:
                    found[row] = sampling.from_arrays([np.asarray(picture.convert("RGB"))])[0]
        return found
