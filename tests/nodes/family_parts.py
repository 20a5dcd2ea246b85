"""What the graphs of the families need besides model and VAE: texts, controls; and what a model is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from finesse.tests.nodes.families import QWEN, Z_IMAGE, Family, randomise

CPU = torch.device("cpu")


@dataclass
class RandomCLIP:
    """Stands for a family's text encoder: a random conditioning for each text; keeps what it reads."""

    family: Family
    texts: list[str] = field(default_factory=list)
    pictures: list[torch.Tensor] = field(default_factory=list)

    def tokenize(self, text, images=(), llama_template=None):
        self.texts.append(text)
        self.pictures += images
        return text

    def encode_from_tokens_scheduled(self, text):
        return self.family.text(len(text))


def qwen_image_control():
    """A ControlNet as InstantX's for inpainting, which reads a mask."""
    import comfy.controlnet
    import comfy.latent_formats
    import comfy.ops
    from comfy.ldm.qwen_image.controlnet import QwenImageControlNetModel

    config = {name: value for name, value in QWEN.items() if name != "image_model"}
    network = QwenImageControlNetModel(
        extra_condition_channels=4, dtype=torch.float32, operations=comfy.ops.manual_cast, **config
    )
    randomise(network)
    kind = {"compression_ratio": 1, "latent_format": comfy.latent_formats.Wan21(), "concat_mask": True}
    return comfy.controlnet.ControlNet(network, **kind, load_device=CPU, extra_conds=[])


def z_image_control():
    """A control patch as version 2.1 of Z-Image's, which reads a mask."""
    import comfy.model_patcher
    import comfy.ops
    from comfy.ldm.lumina.controlnet import ZImage_Control

    sizes = {name: Z_IMAGE[name] for name in ("dim", "n_heads", "n_kv_heads")}
    kind = {"n_control_layers": 15, "additional_in_dim": 17, "refiner_control": True}
    network = ZImage_Control(**sizes, **kind, dtype=torch.float32, operations=comfy.ops.manual_cast)
    randomise(network)
    return comfy.model_patcher.ModelPatcher(network, load_device=CPU, offload_device=CPU)


class Heard(list):
    """What a network is called with while this is a context: pairs of positional arguments and named ones."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def __enter__(self):
        self.hook = self.network.register_forward_pre_hook(
            lambda _, args, named: self.append((args, named)), with_kwargs=True
        )
        return self

    def __exit__(self, *_):
        self.hook.remove()
