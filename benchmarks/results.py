"""Results files, docs/results/<name>.json, and the tables that README and docs/*.md show of them.

python -m finesse.benchmarks.results    # write those tables anew from the stored results
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import torch

from ..core.files import read_json, write_json, write_text
from ..training.provenance import git_commit

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]  # tables of a group stand in docs


def write_results(command: str, metrics: Mapping[str, float], name: str = "") -> Path:
    """Store what a command measured, with the command, commit, kind of machine and day. Returns the path.

    command: the benchmark's module; the file has its name, or `name`.
    """
    path = FOLDER / f"{name or command}.json"
    # of a path on this machine only the last part: the rest tells of its owner
    given = [Path(part).name if Path(part).is_absolute() else part for part in sys.argv[1:]]
    write_json(
        path,
        {
            "command": shlex.join(["python", "-m", f"finesse.benchmarks.{command}", *given]),
            "commit": git_commit(),
            "machine": machine(),
            "date": datetime.now(timezone.utc).date().isoformat(),
            "metrics": {key: float(f"{value:.5g}") for key, value in metrics.items()},
        },
    )
    return path


def chosen_device() -> torch.device:
    """The device that benchmarks run on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> str:
    """The kind of machine: "NVIDIA H200", "2-core CPU"."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()}-core CPU ({platform.machine()})"


def table(name: str, group: str = "") -> str:
    """A Markdown table of the metrics of docs/results/<name>.json, and where they come from.

    group: only the metrics `<group>.<row>.<column>`, a line a row, with their spread.
    """
    results = read_json(FOLDER / f"{name}.json")
    metrics = results["metrics"]
    lines = (
        _grid(group, metrics)
        if group
        else [
            "| measure | value |",
            "|---|---|",
            *(f"| `{key}` | {value:g} |" for key, value in metrics.items()),
        ]
    )
    # the command of many tables is told once, in their file
    told = f"[its command](results/{name}.json)" if group else f"`{results['command']}`"
    return "\n".join([*lines, "", f"Measured by {told} on a {results['machine']}, {results['date']}."])


def _grid(group: str, metrics: Mapping[str, float]) -> list[str]:
    cells: dict[str, dict[str, str]] = {}
    for key, value in metrics.items():
        rest = key.removeprefix(f"{group}.")
        if rest != key and not key.endswith(".std"):
            row, column = re.split(r"\.(?!\d)", rest, maxsplit=1)  # of weight_0.1.fid the row is weight_0.1
            spread = metrics.get(f"{key}.std")
            cells.setdefault(row, {})[column] = f"{value:.3g}" + (f" ± {spread:.2g}" if spread else "")
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    return [
        f"| `{group}` | {' | '.join(f'`{column}`' for column in columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(f"| `{row}` | {' | '.join(found.get(c, '') for c in columns)} |" for row, found in cells.items()),
    ]


def rendered(text: str) -> str:
    """`text` with its blocks `<!-- results:NAME -->` and `<!-- results:NAME:GROUP -->` made anew."""
    return re.sub(
        r"(<!-- results:(\w+)(?::([\w.]+))? -->\n).*?(<!-- /results -->)",
        lambda match: f"{match[1]}{table(match[2], match[3] or '')}\n{match[4]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for page in PAGES:
        write_text(page, rendered(page.read_text(encoding="utf-8")))
        sys.stdout.write(f"{page} is up to date\n")
