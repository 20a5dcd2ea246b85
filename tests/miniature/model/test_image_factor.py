"""The image factor: a ControlNet that diffusers and ComfyUI read alike."""

from __future__ import annotations

import pytest
import torch
from diffusers import ControlNetModel
from finesse.core.maps.palettes import COCO_STUFF
from finesse.core.schedule import NoiseSchedule
from finesse.miniature.model import image_factor, networks
from finesse.miniature.world.palette import PALETTE
from finesse.miniature.world.tensors import load_scenes
from finesse.miniature.world.things import ON_MAPS
from finesse.training.loop.batches import Draw
from finesse.training.models.controlled_unet import ControlledUNet


@pytest.fixture(scope="module")
def controlled(miniature):
    """The random miniature with a ControlNet whose zero convolutions are not zero."""
    torch.manual_seed(0)
    unet = networks.load(miniature).unet
    control = ControlNetModel.from_unet(unet)
    for weight in control.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    networks.save(control, miniature / "controlnet")
    return ControlledUNet(unet, control.half().float().eval())


def inputs(rows=2):
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(rows, 4, 16, 16, generator=generator)
    return sample, torch.tensor(400), torch.randn(rows, 8, networks.TEXT_WIDTH, generator=generator)


@torch.no_grad()
def test_comfyui_and_diffusers_agree(miniature, controlled):
    from finesse.miniature.comfy.controlnet import load_controlnet

    sample, timestep, context = inputs()
    hint = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    down, mid = controlled.control(sample, timestep, context, hint, return_dict=False)
    found = load_controlnet(miniature).control_model(
        x=sample, hint=hint, timesteps=timestep.expand(2).float(), context=context
    )
    for ours, theirs in zip([*down, mid], [*found["output"], *found["middle"]], strict=True):
        assert ours.abs().max() > 1e-2
        assert (ours - theirs).abs().max() < 1e-4


@torch.no_grad()
def test_a_map_of_any_size_changes_the_prediction(controlled):
    sample, timestep, context = inputs(4)
    controlled.hint = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    halves = controlled(sample, timestep, context).sample
    controlled.hint = controlled.hint.repeat(2, 1, 1, 1)
    assert torch.equal(halves, controlled(sample, timestep, context).sample)
    plain = controlled.unet(sample, timestep, context).sample
    assert (halves - plain).abs().max() > 1e-2


def test_a_missing_controlnet_is_named(miniature, controlled):
    from finesse.miniature.comfy.controlnet import load_controlnet

    with pytest.raises(ValueError, match=r"diffusion_pytorch_model.safetensors is missing in .*other"):
        load_controlnet(miniature, "other")


def test_maps_are_painted_in_the_miniatures_colours():
    labels = torch.tensor([[[COCO_STUFF.index("donut"), COCO_STUFF.index("grass")]]], dtype=torch.uint8)
    painted = (image_factor.painted(labels) * 255).round().byte()
    assert painted.shape == (1, 3, 1, 2)
    assert tuple(painted[0, :, 0, 0].tolist()) == PALETTE.colours[PALETTE.index("donut")]


def test_the_task_teaches_the_control_to_read_its_map(controlled):
    labels = torch.full((2, 64, 64), COCO_STUFF.index("donut"), dtype=torch.uint8)
    batch = {"latents": inputs()[0], "context": inputs()[2], "labels": labels}
    empty = torch.zeros(8, networks.TEXT_WIDTH)
    task = image_factor.ImageFactorTask(controlled, NoiseSchedule.scaled_linear(), empty)
    controlled.control.requires_grad_(True)
    task(batch, Draw(0, 2, slice(0, 2), torch.device("cpu")))["denoise"].backward()
    assert controlled.control.controlnet_cond_embedding.conv_in.weight.grad.abs().sum() > 0
    colour = torch.tensor(PALETTE.colours[PALETTE.index("donut")]) / 255
    assert torch.allclose(controlled.hint.mean(dim=(0, 2, 3)), colour, atol=0.02)  # noise was added


def test_half_of_the_pairs_are_crowded(tmp_path):
    pairs = image_factor.load_pairs(tmp_path, 20, 32)
    assert {name: tuple(column.shape[1:]) for name, column in pairs.items()} == {
        "pixels": (3, 32, 32),
        "caption": (400,),
        "labels": (32, 32),
    }
    assert {len(column) for column in pairs.values()} == {20}
    lone = load_scenes(tmp_path, "train", 10, 32, things=ON_MAPS)
    assert torch.equal(pairs["pixels"][:10], lone["pixels"])
    assert torch.equal(pairs["pixels"][-2:], load_scenes(tmp_path, "train", 2, 32, 8, ON_MAPS)["pixels"])
