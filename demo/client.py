"""A small client of ComfyUI's API, as a program that uses ComfyUI would write it.

POST /prompt, progress over the websocket, GET /history and /view. The demo and the tests run on it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import websocket

Prompt = dict[str, dict[str, Any]]
NodeProgress = Callable[[str, int, int], None]  # node id, step, total


class ComfyError(Exception):
    """A prompt that ComfyUI refused, or that failed or was interrupted while it ran.

    `kind` is ComfyUI's own word: an exception's name, a validation error's type, or "interrupted".
    """

    def __init__(
        self, kind: str, message: str, node_id: str | None = None, node_type: str | None = None
    ) -> None:
        where = f" in node {node_id} ({node_type})" if node_id else ""
        super().__init__(f"{kind}{where}: {message}")
        self.kind, self.message, self.node_id, self.node_type = kind, message, node_id, node_type


class ComfyClient:
    """A connection to one ComfyUI server.

    Args:
        address: such as "http://127.0.0.1:8188".
        timeout: seconds of silence from the server after which waiting ends with a `TimeoutError`.
    """

    def __init__(self, address: str, timeout: float = 300) -> None:
        self.address = address.rstrip("/")
        self.id = uuid.uuid4().hex
        self.finished: list[str] = []  # prompt ids, in the order in which the server was done with them
        self._errors: dict[str, ComfyError] = {}
        socket = f"ws{self.address.removeprefix('http')}/ws?clientId={self.id}"
        self._socket = websocket.create_connection(socket, timeout=timeout)

    def close(self) -> None:
        """End the connection; prompts that are queued go on."""
        self._socket.close()

    def queue(self, prompt: Prompt) -> str:
        """Queue a prompt and return its id.

        Raises:
            ComfyError: the server finds the prompt, or one of its outputs, invalid.
        """
        try:
            answer = self.post("/prompt", {"prompt": prompt, "client_id": self.id})
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read())
        for node_id, found in answer.get("node_errors", {}).items():
            first = found["errors"][0]
            message = f"{first['message']}: {first['details']}"
            raise ComfyError(first["type"], message, node_id, found["class_type"])
        if "error" in answer:
            raise ComfyError(answer["error"]["type"], answer["error"]["message"])
        return answer["prompt_id"]

    def wait(self, prompt_id: str, on_progress: NodeProgress | None = None) -> dict[str, Any]:
        """Wait until the prompt is done and return its outputs, as in the history: node id -> ui dict.

        Raises:
            ComfyError: it failed, or was interrupted.
            TimeoutError: the server said nothing for too long.
            ConnectionError: the server has ended.
        """
        while prompt_id not in self.finished:
            self._receive(on_progress)
        if prompt_id in self._errors:
            raise self._errors[prompt_id]
        return self.history(prompt_id)["outputs"]

    def run(self, prompt: Prompt, on_progress: NodeProgress | None = None) -> dict[str, Any]:
        """Queue a prompt and wait for it."""
        return self.wait(self.queue(prompt), on_progress)

    def interrupt(self) -> None:
        """Stop what is running now."""
        self.post("/interrupt", {})

    def history(self, prompt_id: str) -> dict[str, Any]:
        """Get what the server remembers of a finished prompt: outputs, status, meta."""
        return self.get_json(f"/history/{prompt_id}")[prompt_id]

    def images(self, outputs: dict[str, Any]) -> dict[str, list[bytes]]:
        """Download the image files among a prompt's outputs: node id -> PNG bytes of each."""
        return {
            node_id: [self.get("/view?" + urllib.parse.urlencode(image)) for image in output["images"]]
            for node_id, output in outputs.items()
            if "images" in output
        }

    def upload(self, png: bytes, name: str) -> str:
        """Put a PNG into the server's input folder; -> its name for *Load Image*."""
        boundary = uuid.uuid4().hex
        body = (
            (
                f"--{boundary}\r\n"
                f'Content-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n--{boundary}\r\n'
                f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'
                "Content-Type: image/png\r\n\r\n"
            ).encode()
            + png
            + f"\r\n--{boundary}--\r\n".encode()
        )
        header = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(self.address + "/upload/image", body, header)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["name"]

    def object_info(self) -> dict[str, Any]:
        """Get every node type's inputs and outputs."""
        return self.get_json("/object_info")

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path) as answer:
            return answer.read()

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self.address + path, json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"{}")

    def _receive(self, on_progress: NodeProgress | None) -> None:
        """Take in one message of the server."""
        try:
            text = self._socket.recv()
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError(f"{self.address} said nothing for {self._socket.gettimeout()} s") from error
        except websocket.WebSocketConnectionClosedException as error:
            raise ConnectionError(f"{self.address} closed the connection: ComfyUI has ended") from error
        if not isinstance(text, str):  # a preview picture
            return
        message = json.loads(text)
        kind, data = message["type"], message.get("data", {})
        prompt_id = data.get("prompt_id")
        if kind == "progress" and on_progress:
            on_progress(data["node"], data["value"], data["max"])
        elif kind == "execution_error":
            self._errors[prompt_id] = ComfyError(
                data["exception_type"], data["exception_message"].strip(), data["node_id"], data["node_type"]
            )
        elif kind == "execution_interrupted":
            self._errors[prompt_id] = ComfyError("interrupted", "stopped", data["node_id"], data["node_type"])
        elif kind == "executing" and data["node"] is None:
            self.finished.append(prompt_id)
