"""Reads checkpoints of torch.save (.pth, .ckpt) without running anything in them."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors under `state_dict`, or at the top, in the dtype as stored, mapped from the disk.

    Anything but tensors and plain values is refused, so that nothing in the file is run. Raises
    ValueError, naming the file, when it is missing, damaged, of another format or refused.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path.name} is missing in {path.parent}: put it there or choose another file")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\3\4"
        if is_zip:
            reason = f"is cut short ({path.stat().st_size} bytes): copy or download it again"
        else:
            reason = (
                "is no checkpoint as torch writes it since 1.6: give one, or save yours with a newer torch"
            )
        raise ValueError(f"{path} {reason}")
    try:
        with torch.serialization.safe_globals([_LIGHTNING]):
            checkpoint = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"{path} is refused: it holds {name[1] if name else 'something'}, which is neither a tensor nor a"
            " plain value and could run code; get a file that holds the weights alone"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is no whole checkpoint: copy or download it again ({error})") from error
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no state dict: give a checkpoint of a model's weights by name")
    return {key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}


def key_groups(keys: Iterable[str], most: int = 8) -> str:
    """List the first two parts of the keys for a message."""
    found = sorted({".".join(key.split(".")[:2]) for key in keys}) or ["no tensor at all"]
    return ", ".join(found[:most]) + (", …" if len(found) > most else "")


# Checkpoints of old Lightning versions hold this class as a callback; this stands in for it.
_LIGHTNING = type("ModelCheckpoint", (), {"__module__": "pytorch_lightning.callbacks.model_checkpoint"})
