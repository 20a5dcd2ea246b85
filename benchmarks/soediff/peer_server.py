"""A real ComfyUI with the peers' node packs beside ours, from a folder that the project does not keep."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ...demo.client import ComfyClient
from ...demo.server import ComfyServer, link
from .peer_drawings import Clock

GUIDED = "from finesse.benchmarks.soediff.guided_sampler import comfy_entrypoint\n"


@dataclass(frozen=True)
class PeerPack:
    """A released node pack: name and version in its pyproject.toml, and the nodes that are used."""

    name: str
    version: str
    nodes: tuple[str, ...]


PACKS = {  # by the row that needs it
    "crop_stitch": PeerPack(
        "comfyui-inpaint-cropandstitch", "3.0.9", ("InpaintCropImproved", "InpaintStitchImproved")
    ),
    "lanpaint": PeerPack(
        "LanPaint", "2.1.0", ("LanPaint_KSampler", "LanPaint_ImageEncode", "LanPaint_ImageDecode")
    ),
}


def find_packs(folder: str, rows: list[str]) -> dict[PeerPack, Path]:
    """Find the packs that these rows need among the subfolders of `folder`.

    Raises ValueError that says what is missing, or is of another version.
    """
    wanted = [PACKS[row] for row in rows if row in PACKS]
    if not wanted:
        return {}
    there = {}
    for project in sorted(Path(folder).glob("*/pyproject.toml")) if folder else ():
        text = project.read_text("utf-8")
        name, version = (re.search(rf'^{key} *= *"(.*)"', text, re.MULTILINE) for key in ("name", "version"))
        if name and version:
            there[name[1].lower()] = version[1], project.parent
    found = {}
    for pack in wanted:
        version, path = there.get(pack.name.lower(), ("", Path()))
        if version != pack.version:
            seen = f"version {version} of" if version else "no"
            row = next(row for row, other in PACKS.items() if other == pack)
            raise ValueError(
                f"nodes: {folder!r} holds {seen} {pack.name}; unpack release {pack.version} into a folder in "
                f"it, or leave {row} out of rows."
            )
        found[pack] = path
    return found


@contextmanager
def peers_server(packs: Mapping[PeerPack, Path]) -> Iterator[tuple[ComfyClient, Clock]]:
    """Start a ComfyUI on the CPU that has these packs, Finesse, the miniature and the guided sampler.

    The clock tells the processor time: that of the day depends on what else the machine does.

    Raises ValueError when a pack's nodes are not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        custom_nodes = Path(folder) / "custom_nodes"
        custom_nodes.mkdir()
        for pack, path in packs.items():
            link(custom_nodes / pack.name, path.resolve())
        (custom_nodes / "finesse_guided.py").write_text(GUIDED)
        with ComfyServer(Path(folder)) as server, closing(server.client()) as client:
            check_nodes(packs, client.object_info(), server.log_tail(60))
            process = psutil.Process(server.process.pid)
            yield client, lambda: sum(process.cpu_times()[:2])  # of the user and of the system


def check_nodes(packs: Mapping[PeerPack, Path], known: Mapping[str, Any], log: str) -> None:
    """Raise ValueError, with the end of ComfyUI's log, when nodes of a pack are not among the known ones."""
    for pack, path in packs.items():
        if missing := [name for name in pack.nodes if name not in known]:
            raise ValueError(
                f"nodes: {path} gives no {', '.join(missing)}; ComfyUI could not load it:\n{log}"
            )
