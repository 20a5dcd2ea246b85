"""*Composite Box* as ComfyUI's page sees it."""

from __future__ import annotations

import pytest
import torch
from finesse.core.small_objects.boxes import Box, Grid
from finesse.core.small_objects.region import plan_edit


def test_bypassed_it_hands_on_the_edit(comfy):
    from finesse.nodes.small_objects.composite_box import CompositeBox

    # The page takes the input at the output's place, if its type fits
    schema = CompositeBox.define_schema()
    assert schema.outputs[0].io_type == schema.inputs[0].io_type == "IMAGE"
    assert schema.inputs[0].id == "edited"


def test_choices_of_stored_workflows_stay_and_new_nodes_match_adaptively(comfy):
    from finesse.nodes.small_objects.composite_box import CompositeBox

    inputs = {item.id: item for item in CompositeBox.define_schema().inputs}
    assert inputs["colour_match"].options == ["none", "ring", "adaptive"]
    assert inputs["colour_match"].default == "adaptive"
    assert list(inputs) == ["edited", "original", "region", "feather", "colour_match"]


@pytest.mark.parametrize("colour_match", ["none", "ring", "adaptive"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_alpha_channel_and_all_around_the_box_stay(composite, colour_match, dtype):
    torch.manual_seed(0)
    original = torch.rand(2, 61, 83, 4).to(dtype)
    box = Box(30, 17, 21, 26)
    region = plan_edit([box], ["box"], None, (83, 61), grid=Grid(8), snap=False, grow=0, context=0).region
    edited = torch.rand(2, region.window.height, region.window.width, 3) * 0.2 + 0.4
    result = composite(original, edited, region, 3, colour_match)
    outside = torch.ones(61, 83, dtype=torch.bool)
    outside[box.index[1:]] = False
    assert result.dtype == dtype
    assert torch.equal(result[:, outside], original[:, outside])
    assert torch.equal(result[..., 3], original[..., 3])
    assert not torch.equal(result[box.index][..., :3], original[box.index][..., :3])


def test_adaptive_takes_the_shift_out_of_the_box(composite):
    torch.manual_seed(0)
    rough = torch.rand(1, 3, 8, 10)
    original = torch.nn.functional.interpolate(rough, (64, 80), mode="bicubic").clamp(0.1, 0.9).movedim(1, -1)
    region = plan_edit(
        [Box(24, 16, 32, 32)], ["box"], None, (80, 64), grid=Grid(8), snap=True, grow=0, context=0
    ).region
    shifted = original * torch.tensor([1.05, 1.0, 0.93]) + 0.01
    left = {
        name: float((composite(original, shifted, region, 0, name) - original).abs().mean())
        for name in ("none", "ring", "adaptive")
    }
    assert left["adaptive"] < 0.1 * left["none"]
