"""Starts and stops a real ComfyUI with the pack and the miniature in it, in a folder of its own.

COMFYUI_PATH names the ComfyUI; FINESSE_MINIATURE the miniature's weights.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ..miniature.stored import FACTORS, WEIGHTS
from .client import ComfyClient

PACK = Path(__file__).resolve().parent.parent
BRIDGE = "from finesse.miniature.comfy.loaders import comfy_entrypoint\n"
MODELS = {  # file or folder in ComfyUI's models that the examples name -> the miniature's
    "loras/so_lora.safetensors": WEIGHTS / "so_lora" / "so_lora.safetensors",
    "vae/vae_small_objects.safetensors": WEIGHTS / "vae_tuned" / "diffusion_pytorch_model.safetensors",
    "finesse_segmenters/segformer": WEIGHTS / "segformer",
    "finesse_layers/dancing_person.safetensors": WEIGHTS / "layered" / "dancing_person.safetensors",
    **{f"finesse_factors/{name}": WEIGHTS / "factors" / name for name in FACTORS},
}
START_TIMEOUT = 300


class ServerError(RuntimeError):
    """ComfyUI ended or did not come up; the message ends with the last lines of its log."""


class ComfyServer:
    """Runs ComfyUI on the CPU in a process; a context manager.

    Args:
        folder: where its models, inputs, outputs, settings and log lie; a temporary one when None.
        port: the port to take if nobody listens on it; otherwise, and when None, a free one.
        arguments: more of ComfyUI's command line options.
        environment: variables on top of this process's.

    Raises:
        ServerError: from `start` and `check`.
        ValueError: no ComfyUI at `COMFYUI_PATH`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        port: int | None = None,
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.temporary = folder is None
        self.folder = (
            Path(tempfile.mkdtemp(prefix="finesse-comfyui-")) if folder is None else folder.resolve()
        )
        self.port = free_port(port or 0)
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = self.folder / "comfyui.log"
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ComfyServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> ComfyServer:
        """Start the process and wait until it answers."""
        comfyui = comfyui_path()
        self._lay_out_folder()
        options = ["--cpu", "--base-directory", str(self.folder), "--port", str(self.port)]
        options += ["--database-url", "sqlite:///:memory:", "--disable-auto-launch", "--disable-api-nodes"]
        # A group of its own, so that all of it can be stopped, and Ctrl-C reaches us first.
        group = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        atexit.register(self.stop)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(comfyui / "main.py"), *options, *self.arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **group,
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process and all it started, and remove a temporary folder. May be called twice."""
        atexit.unregister(self.stop)
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if os.name == "nt":
                    self.process.kill()
                else:
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> None:
        """Raise `ServerError` when the process has ended."""
        if self.process is None or self.process.poll() is not None:
            code = "was not started" if self.process is None else f"ended with code {self.process.returncode}"
            raise ServerError(f"ComfyUI {code}\n{self.log_tail()}")

    def client(self, timeout: float = 300) -> ComfyClient:
        """Open a new connection to this server."""
        return ComfyClient(self.address, timeout)

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the server's log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def _lay_out_folder(self) -> None:
        custom_nodes, settings = self.folder / "custom_nodes", self.folder / "user/default"
        for folder in (custom_nodes, settings, self.folder / "input", self.folder / "models/checkpoints"):
            folder.mkdir(parents=True, exist_ok=True)
        for name, source in MODELS.items():
            target = self.folder / "models" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():  # in a kept folder it may be the user's own
                (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        link(custom_nodes / "ComfyUI-Finesse", PACK)
        (custom_nodes / "finesse_miniature.py").write_text(BRIDGE)
        (settings / "comfy.settings.json").write_text(json.dumps({"Comfy.TutorialCompleted": True}))

    def _environment(self) -> dict[str, str]:
        # ComfyUI finds its own modules beside main.py, which "safe path" would prevent.
        ours = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
        # Threads that wait must not spin: on a busy machine that makes a step ten times slower.
        return ours | {"PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"} | self.environment

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            self.check()
            if time.monotonic() > deadline:
                raise ServerError(f"ComfyUI did not answer within {START_TIMEOUT} s\n{self.log_tail()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/system_stats", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True


def comfyui_path() -> Path:
    """The ComfyUI that COMFYUI_PATH names."""
    folder = Path(os.environ.get("COMFYUI_PATH", ""))
    if not (folder / "main.py").exists() or folder == Path():
        raise ValueError(
            f"COMFYUI_PATH is {str(folder)!r}, which is no ComfyUI: run through dev.py, or set it"
        )
    return folder


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, otherwise any port that is free now."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise ServerError("no port of 127.0.0.1 is free")


def link(path: Path, target: Path) -> None:
    """Make `path` a link to the folder `target`, unless something is there; a junction on Windows."""
    if path.exists():
        return
    if os.name == "nt":
        subprocess.run(["cmd", "/c", "mklink", "/J", str(path), str(target)], check=True, capture_output=True)
    else:
        path.unlink(missing_ok=True)
        path.symlink_to(target, target_is_directory=True)


def exit_on_kill() -> None:
    """Turn SIGTERM into SystemExit, so that servers are stopped on the way out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
