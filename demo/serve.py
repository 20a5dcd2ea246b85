"""Runs a ComfyUI with the pack, and with the examples on the miniature as workflows, until Ctrl-C.

python -m finesse.demo.serve [--port 8188] [--folder DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from .page_workflows import FOLDER, offer
from .server import ComfyServer, ServerError, exit_on_kill


def main() -> int:
    """Run a server until Ctrl-C, or until it ends."""
    parser = argparse.ArgumentParser(description="Run a ComfyUI with the pack and the miniature.")
    parser.add_argument("--port", type=int, default=8188, help="if it is taken, another one is used")
    parser.add_argument(
        "--folder", type=Path, help="folder that keeps models, inputs and outputs; without it nothing is kept"
    )
    options = parser.parse_args()
    exit_on_kill()
    try:
        with ComfyServer(options.folder, options.port, ["--preview-method", "auto"]) as server:
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
