"""Lists the files that loaders offer, says what to do about a missing one, and notices a changed one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from typing_extensions import override

SHOWN = 8
NONE_FOUND = "none found"  # stands for an empty list, for which the page would send no value to refuse


@dataclass(frozen=True)
class Offer(ABC):
    """The choices that an input of a loader offers.

    input: the input's name. kind: ComfyUI's name for the folders it lies in, such as "loras".
    source: a sentence on where to get one.
    """

    input: str
    kind: str
    source: str

    @abstractmethod
    def names(self) -> list[str]:
        """Names that can be chosen now."""

    @abstractmethod
    def place(self, own: str) -> Path | None:
        """Path of one of `names`; None if it is gone, or is a link to nothing."""

    def files(self, path: Path) -> list[Path]:
        """Files that decide what is loaded from `path`."""
        return [path]

    def find(self, name: str) -> Path | None:
        """Path of the choice `name`; None if there is none."""
        # The workflow may come from a system that separates folders by the other slash
        same = next((own for own in self.names() if _with_slashes(own) == _with_slashes(name)), None)
        return same and self.place(same)

    def combo(self, **settings: Any) -> io.Combo.Input:
        """The input of a node's schema."""
        return io.Combo.Input(self.input, options=self.names() or [NONE_FOUND], **settings)

    def path(self, name: str | None) -> Path:
        """Path of the choice `name`. ValueError with the message of `missing` if there is none."""
        if path := self.find(str(name or "")):
            return path
        raise ValueError(f"{self.input}: {self._missing(str(name or ''))}")

    def missing(self, name: str | None) -> str:
        """Message of `validate_inputs` for a name that does not exist; "" for one that does.

        None stands for a linked value, which is not known before the run.
        """
        # A program may send anything, because ComfyUI leaves this check to the node
        return "" if name is None or self.find(str(name)) else self._missing(str(name))

    def fingerprint(self, name: str | None) -> str:
        """Fingerprint of the files of `name` for `fingerprint_inputs`, so that changed files are read again.

        None stands for a linked value, which could be any of the choices.
        """
        found = map(self.place, self.names()) if name is None else [self.find(str(name))]
        files = chain.from_iterable(self.files(path) for path in found if path)
        return repr([stamp(file) for file in files])

    def _missing(self, name: str) -> str:
        places = " or ".join(dict.fromkeys(map(_shown, folder_paths.get_folder_paths(self.kind))))
        is_chosen = name not in ("", NONE_FOUND)
        lacking = f"{name!r} is not in {places}" if is_chosen else f"nothing is chosen from {places}"
        alike = sorted(self.names(), key=lambda own: -SequenceMatcher(None, own, name).ratio())
        more = f" and {len(alike) - SHOWN} more" if len(alike) > SHOWN else ""
        found = ", ".join(alike[:SHOWN]) + more if alike else "nothing"
        return f"{lacking} (found there: {found}). {self.source} Put it there, press R and choose it."


@dataclass(frozen=True)
class ModelFiles(Offer):
    """Offers files whose names end in one of `suffixes`, in subfolders too."""

    suffixes: tuple[str, ...] = (".safetensors",)

    @override
    def names(self) -> list[str]:
        return [name for name in folder_paths.get_filename_list(self.kind) if self._may_be_one(name)]

    @override
    def place(self, own: str) -> Path | None:
        path = folder_paths.get_full_path(self.kind, own)
        return Path(path) if path else None

    def _may_be_one(self, name: str) -> bool:
        return name.lower().endswith(self.suffixes)


def stamp(path: Path) -> tuple[str, int, int]:
    """Identify a file by its path, size and time of change."""
    state = path.stat()
    return str(path), state.st_size, state.st_mtime_ns


def add_folder(name: str, *parents: str, suffixes: tuple[str, ...] = ()) -> str:
    """Register `name` as a kind of model folder, below each of `parents` and where others have added one.

    parents: ComfyUI's models folder when none is given. suffixes: of the files that ComfyUI is to list.
    Gives `name`.
    """
    for parent in parents or (folder_paths.models_dir,):
        folder_paths.add_model_folder_path(name, str(Path(parent) / name))
    folder_paths.folder_names_and_paths[name][1].update(suffixes)
    return name


def _with_slashes(name: str) -> str:
    return name.replace("\\", "/")


def _shown(folder: str) -> str:
    """Shorten a folder for messages: relative to ComfyUI's own, or in full if it lies elsewhere."""
    base, path = Path(folder_paths.base_path).resolve(), Path(folder).resolve()
    return path.relative_to(base.parent).as_posix() if path.is_relative_to(base) else str(path)
