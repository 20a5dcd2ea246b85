"""Runs training scripts in processes of their own, forked from one that has imported what they need.

A cold start of torch and diffusers takes longer than the few steps that a test trains.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

PRELOADED = ["finesse.training.factor", "finesse.training.so_lora"]
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1"}
TIMEOUT = 500


@dataclass
class Script:
    """A script that runs, in one process or in several that share the work."""

    processes: list[multiprocessing.Process]
    outputs: list[Path]

    def running(self) -> bool:
        return all(process.exitcode is None for process in self.processes)

    def output(self) -> str:
        return "\n".join(path.read_text() for path in self.outputs if path.exists())

    def finish(self) -> str:
        """Wait for it; what it printed."""
        for process in self.processes:
            process.join(TIMEOUT)
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        assert not any(codes) and None not in codes, f"exit codes {codes}\n{self.output()}"  # noqa: PT018
        return self.output()

    def kill(self) -> None:
        """SIGKILL, not an exception: nothing is tidied up."""
        for process in self.processes:
            process.kill()
            process.join()


def start(script: str | Path, arguments: list[str], folder: Path, processes: int = 1) -> Script:
    """Start a module by its name or a file by its path; what it prints goes to files in `folder`.

    Several processes are told of each other as `torch.distributed.run` does.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    folder.mkdir(parents=True, exist_ok=True)
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = Script([], [])
    for rank in range(processes):
        ours = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
        output = folder / f"output-{rank}.txt"
        given = (str(script), list(map(str, arguments)), WITHOUT_GPU | ours, output)
        process = context.Process(target=_run, args=given, daemon=True)
        process.start()
        started.processes.append(process)
        started.outputs.append(output)
    return started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _run(script: str, arguments: list[str], environment: dict[str, str], output: Path) -> None:
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.argv[1:] = arguments
    if script.endswith(".py"):
        sys.argv[0] = script
        runpy.run_path(script, run_name="__main__")
    else:
        runpy.run_module(script, run_name="__main__", alter_sys=True)
