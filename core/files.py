"""Writes files atomically, reads them with checks, and keeps file names inside their folder.

Every writer puts the bytes under a temporary name in the target's own folder, flushes them to the disk and
renames them over the target, so that a process killed at any moment leaves either the old file or the new
one. The format of weights is safetensors; nothing here reads or writes a pickle.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

HASHED_AT_ONCE = 1 << 20  # bytes


def write_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors of any shape, dtype and device as one safetensors file, atomically.

    `metadata` goes into the file's header; names and values must be strings, else a ValueError tells which
    is not. Two names must not share memory (safetensors refuses that with a RuntimeError).
    """
    for name, value in (metadata or {}).items():
        if not isinstance(value, str):
            raise ValueError(
                f"metadata {name!r} of {path} is {value!r}: give a string, for example by json.dumps"
            )
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(on_cpu, temporary, metadata=dict(metadata or {}))


def read_tensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors by name, on the CPU as stored, and its header's metadata.

    A ValueError names the file and what to do when it is missing, cut short or of another format.
    """
    path = _existing(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        with path.open("rb") as file:
            start = file.read(9)  # 8 bytes of header size, then the header, a JSON object
        if len(start) < 9 or start.endswith(b"{"):
            reason = f"is cut short or damaged ({path.stat().st_size} bytes): copy or download it again"
        else:
            reason = "is not a safetensors file: give one, or convert yours to safetensors first"
        raise ValueError(f"{path} {reason} ({error})") from error


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinities, which JSON lacks, are a ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a ValueError names the file when it is missing or is not JSON."""
    path = _existing(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file: copy or download it again ({error})") from error


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, atomically and with the same line ends on every system."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def file_hash(*paths: str | Path) -> str:
    """SHA-256 over the contents of files, in the given order; none of them is held in memory as a whole."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            while part := file.read(HASHED_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what the block writes there replaces `path` when the block ends.

    The folder is made if need be. When the block raises, the temporary file goes and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.touch()
        permissions = temporary.stat().st_mode
        yield temporary
        temporary.chmod(permissions)  # safetensors makes a new file that no other user may read
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def confined(name: str, folder: str | Path) -> Path:
    """Resolve the file `name` inside `folder`; it need not exist yet.

    `name` may hold subfolders, separated by / or \\ alike, so that a workflow made on one system opens on
    another. A ValueError refuses an empty name, an absolute one, a drive letter, `..` and a symbolic link
    that leads out of the folder.
    """
    root, parts = Path(folder).resolve(), PureWindowsPath(name)
    if not parts.name or "\0" in name:
        raise ValueError(f"{name!r} is no file name: give the name of a file in {root}")
    if parts.anchor or ".." in parts.parts:
        raise ValueError(f"{name!r} leads out of {root}: give a name relative to that folder, without '..'")
    path = root.joinpath(*parts.parts).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"{name!r} is a link from {root} to {path}: put the file itself into that folder")
    return path


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path.name} is missing in {path.parent}: put it there or choose another file")
    return path


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows can neither open nor flush a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
