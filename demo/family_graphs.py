"""The example workflows of today's models, one a model family.

    python -m finesse.demo.family_graphs

writes them and their pictures to example_workflows/, and their table to README. Nodes, files and settings are
those of ComfyUI's own templates, with *Inpaint Small Box* and *Composite Box* among them.
"""

from __future__ import annotations

from typing import Any

from ..core.files import replacing, write_json, write_text
from .edit_graph import LATENT, MODEL, NEGATIVE, SAMPLE, WHAT, WHERE, WINDOW, WINDOW_MASK, EditGraph
from .family_models import (
    FLUX2_KLEIN,
    FLUX_FILL,
    FLUX_KONTEXT,
    QWEN_IMAGE,
    QWEN_IMAGE_CONTROL,
    QWEN_IMAGE_EDIT,
    SD35,
    SDXL_INPAINTING,
    Z_IMAGE,
    Z_IMAGE_CONTROL,
    Files,
)
from .family_notes import TABLE, table_of
from .family_pictures import picture_of
from .server import ComfyServer
from .workflows import EXAMPLES, examples

README = EXAMPLES.parent / "README.md"
GRASS = {"x": 64, "y": 600, "width": 112, "height": 80}  # places of ComfyUI's example.png
EYES = {"x": 328, "y": 208, "width": 120, "height": 64}
CLOUD = {"x": 520, "y": 24, "width": 224, "height": 136}
DRAWN = "a red toy car on the grass"
GREEN_EYES = "Make the eyes green."
BALLOON = "Replace the cloud with a hot air balloon."


def graphs() -> dict[str, EditGraph]:
    """All of them: name -> graph."""
    made = (
        *(_flux_fill(), _flux2_klein(), _flux_kontext(), _qwen_image(), _qwen_image_edit(), _z_image()),
        _plain("draw_with_sd35", SD35, (20, 4.0, "euler", "sgm_uniform")),
        _plain("draw_with_sdxl_inpainting", SDXL_INPAINTING, (25, 7.0, "dpmpp_2m", "karras")),
    )
    return {graph.name: graph for graph in made}


def other_examples() -> dict[str, dict[str, Any]]:
    """The example workflows of no family, which the miniature runs: name -> JSON."""
    return {name: workflow for name, workflow in examples().items() if name not in graphs()}


def _plain(name: str, files: Files, settings: tuple[int, float, str, str]) -> EditGraph:
    """An inpainting model, or a model that edits by the noise mask."""
    graph = EditGraph(name, files)
    prompt, unwanted = graph.text(DRAWN), graph.text("", NEGATIVE)
    box = graph.box(GRASS, prompt[0], unwanted[0])
    sampler = graph.sample(graph.model, box[0], box[1], box, settings)
    return graph.finish(box, sampler, (prompt, "text"), (sampler, "seed"))


def _flux_fill() -> EditGraph:
    graph = EditGraph("draw_with_flux_fill", FLUX_FILL)
    soft = graph.add("DifferentialDiffusion", MODEL, 90, model=graph.model, strength=1.0)
    prompt = graph.text(DRAWN)
    guided = graph.add("FluxGuidance", WHAT, 90, conditioning=prompt[0], guidance=30.0)
    box = graph.box(GRASS, guided[0], graph.nothing(prompt)[0])
    sampler = graph.sample(soft[0], box[0], box[1], box, (20, 1.0, "euler", "normal"))
    return graph.finish(box, sampler, (prompt, "text"), (sampler, "seed"))


def _flux2_klein() -> EditGraph:
    graph = EditGraph("edit_with_flux2_klein", FLUX2_KLEIN)
    prompt = graph.text(GREEN_EYES)
    box = graph.box(EYES, prompt[0], graph.nothing(prompt)[0])
    prompts = {"positive": graph.refer(box[0], box), "negative": graph.refer(box[1], box)}
    size = graph.add("GetImageSize", WHERE, 100, image=box[WINDOW])
    noise = graph.add("RandomNoise", SAMPLE, 90, noise_seed=7)
    guider = graph.add("CFGGuider", SAMPLE, 110, model=graph.model, **prompts, cfg=1.0)
    sampler = graph.add("KSamplerSelect", SAMPLE, 70, sampler_name="euler")
    sigmas = graph.add("Flux2Scheduler", SAMPLE, 110, steps=4, width=size[0], height=size[1])
    parts = {"noise": noise[0], "guider": guider[0], "sampler": sampler[0], "sigmas": sigmas[0]}
    sampled = graph.add("SamplerCustomAdvanced", SAMPLE, 120, **parts, latent_image=box[LATENT])
    return graph.finish(box, sampled, (prompt, "text"), (noise, "noise_seed"))


def _flux_kontext() -> EditGraph:
    graph = EditGraph("edit_with_flux_kontext", FLUX_KONTEXT)
    prompt = graph.text(GREEN_EYES)
    guided = graph.add("FluxGuidance", WHAT, 90, conditioning=prompt[0], guidance=2.5)
    box = graph.box(EYES, guided[0], graph.nothing(prompt)[0])
    positive = graph.refer(box[0], box)
    sampler = graph.sample(graph.model, positive, box[1], box, (20, 1.0, "euler", "simple"))
    return graph.finish(box, sampler, (prompt, "text"), (sampler, "seed"))


def _qwen_image() -> EditGraph:
    graph = EditGraph("draw_with_qwen_image", QWEN_IMAGE)
    shifted = graph.add("ModelSamplingAuraFlow", MODEL, 70, model=graph.model, shift=3.1)
    control = graph.add("ControlNetLoader", MODEL, 70, control_net_name=QWEN_IMAGE_CONTROL)
    prompt, unwanted = graph.text(DRAWN), graph.text(" ", NEGATIVE)
    box = graph.box(GRASS, prompt[0], unwanted[0])
    controlled = graph.add(
        "ControlNetInpaintingAliMamaApply",
        SAMPLE,
        200,
        **{"positive": box[0], "negative": box[1], "control_net": control[0], "vae": graph.vae},
        **{"image": box[WINDOW], "mask": box[WINDOW_MASK]},
        **{"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0},
    )
    settings = (20, 2.5, "euler", "simple")
    sampler = graph.sample(shifted[0], controlled[0], controlled[1], box, settings)
    return graph.finish(box, sampler, (prompt, "text"), (sampler, "seed"))


def _qwen_image_edit() -> EditGraph:
    """The encoder reads the window, so the instructions stand behind the box."""
    graph = EditGraph("edit_with_qwen_image_edit", QWEN_IMAGE_EDIT)
    shifted = graph.add("ModelSamplingAuraFlow", MODEL, 70, model=graph.model, shift=3.1)
    normed = graph.add("CFGNorm", MODEL, 100, model=shifted[0], strength=1.0, pre_cfg=False)
    box = graph.box(CLOUD)
    encode, read = "TextEncodeQwenImageEditPlus", {"clip": graph.clip, "image1": box[WINDOW]}
    prompt = graph.add(encode, WHAT, 200, "Instruction", prompt=BALLOON, **read)
    nothing = graph.add(encode, WHAT, 200, "No instruction", prompt="", **read)
    prompts = graph.refer(prompt[0], box), graph.refer(nothing[0], box)
    sampler = graph.sample(normed[0], *prompts, box, (20, 4.0, "euler", "simple"))
    return graph.finish(box, sampler, (prompt, "prompt"), (sampler, "seed"))


def _z_image() -> EditGraph:
    graph = EditGraph("draw_with_z_image", Z_IMAGE)
    patch = graph.add("ModelPatchLoader", MODEL, 70, name=Z_IMAGE_CONTROL)
    prompt = graph.text(DRAWN)
    box = graph.box(GRASS, prompt[0], graph.nothing(prompt)[0])
    patched = graph.add(
        "ZImageFunControlnet",
        SAMPLE,
        150,
        **{"model": graph.model, "model_patch": patch[0], "vae": graph.vae, "strength": 1.0},
        **{"inpaint_image": box[WINDOW], "mask": box[WINDOW_MASK]},
    )
    shifted = graph.add("ModelSamplingAuraFlow", SAMPLE, 70, model=patched[0], shift=3.0)
    sampler = graph.sample(shifted[0], box[0], box[1], box, (8, 1.0, "res_multistep", "simple"))
    return graph.finish(box, sampler, (prompt, "text"), (sampler, "seed"))


def main() -> None:
    """Write the workflows, as a ComfyUI describes their nodes, their pictures and README's table."""
    with ComfyServer() as server:
        object_info = server.client().object_info()
    for name, graph in graphs().items():
        write_json(EXAMPLES / f"{name}.json", graph.workflow(object_info))
        with replacing(EXAMPLES / f"{name}.jpg") as path:
            picture_of(graph).save(path, "jpeg", quality=88)
    before, rest = README.read_text("utf-8").split(TABLE[0])
    write_text(README, before + table_of(graphs().values()) + rest.split(TABLE[1])[1])


if __name__ == "__main__":
    main()
