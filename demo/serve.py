"""Runs a ComfyUI with the pack, and with the examples on the miniature as workflows, until Ctrl-C.

python -m finesse.demo.serve [--port 8188] [--folder DIR]
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ..training.loop.config import option, parse
from .page_workflows import FOLDER, offer
from .server import ComfyServer, ServerError, exit_on_kill


@dataclass
class Arguments:
    """The settings of the script."""

    port: int = option(8188, "if it is taken, another one is used")
    folder: str = option("", "folder that keeps models, inputs and outputs; empty keeps nothing")


def main() -> int:
    """Run a server until Ctrl-C, or until it ends."""
    (arguments,) = parse([Arguments], {})
    folder = Path(arguments.folder) if arguments.folder else None
    exit_on_kill()
    try:
        with ComfyServer(folder, arguments.port, ["--preview-method", "auto"]) as server:
            with contextlib.closing(server.client()) as client:
                count = offer(client, server.folder)
            print(f"ComfyUI with Finesse: {server.address} (Ctrl-C stops it; log: {server.log})")
            print(f"Its {count} examples run as they are: press w, open the folder {FOLDER}", flush=True)
            while True:
                time.sleep(1)
                server.check()
    except (ServerError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
