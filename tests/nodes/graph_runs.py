"""Runs whole prompts in ComfyUI's own executor, in this process, on models at hand instead of files."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

from finesse.tests.coroutines import awaited

EXTRAS = (  # of ComfyUI's folder comfy_extras
    *("controlnet", "custom_sampler", "differential_diffusion", "edit_model", "flux", "qwen"),
    *("model_patch", "model_advanced", "cfg", "images", "preview_any"),
)
LOADERS = {  # loaders of files -> what they give
    "CheckpointLoaderSimple": ("MODEL", "CLIP", "VAE"),
    "UNETLoader": ("MODEL",),
    "CLIPLoader": ("CLIP",),
    "DualCLIPLoader": ("CLIP",),
    "VAELoader": ("VAE",),
    "ControlNetLoader": ("CONTROL_NET",),
    "ModelPatchLoader": ("MODEL_PATCH",),
    "LoadImage": ("IMAGE", "MASK"),
}
NO_CACHE = {"lru": 0, "ram": 0, "ram_inactive": 0}


class Listener:
    """Stands for the server: keeps the errors that it is told of."""

    client_id, last_node_id = "test", None

    def __init__(self):
        self.errors = []

    def send_sync(self, event, told, *_):
        if event == "execution_error":
            self.errors.append(f"{told['node_type']}: {told['exception_message']}")

    def send_progress_text(self, *_):
        pass


def node_class(takes, gives, work):
    """A node of `takes`, name -> type, and `gives`, types; work: what it does, inputs -> outputs."""

    class Node:
        FUNCTION, RETURN_TYPES, OUTPUT_NODE, CATEGORY = "run", gives, not gives, "tests"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {name: (kind,) for name, kind in takes.items()}}

        def run(self, **inputs):
            return work(**inputs)

    return Node


@cache
def nodes_of_comfyui():
    """ComfyUI's nodes and ours, by their names."""
    from finesse.nodes import NODES, checked

    import nodes

    folder = Path(nodes.__file__).parent / "comfy_extras"
    for name in EXTRAS:
        file = folder / f"nodes_{name}.py"
        assert awaited(nodes.load_custom_node(str(file), module_parent="comfy_extras"))
    return {**nodes.NODE_CLASS_MAPPINGS, **{node.GET_SCHEMA().node_id: checked(node) for node in NODES}}


def run(prompt, given, monkeypatch):
    """Run a prompt that ComfyUI finds valid; -> the pictures that it saves.

    given: what its loaders give, by type. Raises RuntimeError with ComfyUI's message if the prompt fails.
    """
    import comfy.model_management
    import execution
    import server

    import nodes

    # ComfyUI would load the clones of runs before this one again, which are gone
    comfy.model_management.current_loaded_models.clear()
    saved = []
    loaders = {
        name: node_class({}, types, lambda types=types: tuple(given[kind] for kind in types))
        for name, types in LOADERS.items()
    }
    keep = node_class({"images": "IMAGE"}, (), lambda images: saved.append(images) or {})
    known = {**nodes_of_comfyui(), **loaders, "SaveImage": keep}
    monkeypatch.setattr(nodes, "NODE_CLASS_MAPPINGS", known)
    listener = Listener()
    monkeypatch.setattr(server.PromptServer, "instance", listener, raising=False)

    prompt = copy.deepcopy(prompt)
    for node in prompt.values():
        if node["class_type"] in LOADERS:
            node["inputs"] = {}
    is_valid, _, outputs, faults = awaited(execution.validate_prompt("test", prompt, None))
    assert is_valid, faults
    assert not faults
    executor = execution.PromptExecutor(listener, execution.CacheType.CLASSIC, NO_CACHE)
    awaited(executor.execute_async(prompt, "test", {"client_id": listener.client_id}, outputs))
    if listener.errors:
        raise RuntimeError(listener.errors[0])
    return saved
