"""Both kinds of factor adapter: numbers against float64 formulas, keys and shapes, and what does not fit."""

from __future__ import annotations

import pytest
import torch
from finesse.core.factors.adapter import PlainAdapter, TimestepAdapter, adapter_from_tensors, halve
from torch import nn
from torch.nn import functional as F

SD1 = (320, 640, 1280, 1280)
SDXL = (320, 640, 1280)
MINIATURE = (64, 128, 128)
MIXED = (32, 64, 64, 96)


def timestep(widths=MINIATURE, time_width=48, **options):
    return TimestepAdapter(widths, time_width, **options)


def filled(adapter, dtype=torch.float64):
    """With weights other than those of a start, norms and zero convolutions included."""
    generator = torch.Generator().manual_seed(0)
    for parameter in adapter.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        nn.init.normal_(parameter, mean=0.1, std=fan_in**-0.5, generator=generator)
    return adapter.to(dtype)


def inputs(height, width, time_width=48, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, height, width, generator=generator, dtype=dtype)
    return x, torch.randn(batch, time_width, generator=generator, dtype=dtype)


def convolve(x, state, name):
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


def normalise(x, state, name):
    groups = x.reshape(len(x), 32, -1)
    groups = groups - groups.mean(-1, keepdim=True)
    groups = groups / (groups.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    scale, shift = (state[f"{name}.{part}"][None, :, None, None] for part in ("weight", "bias"))
    return groups.reshape(x.shape) * scale + shift


def swish(x):
    return x / (1 + torch.exp(-x))


def pool(x):
    rows = [x[:, :, i : i + 2].mean(2) for i in range(0, x.shape[2], 2)]
    x = torch.stack(rows, 2)
    return torch.stack([x[..., i : i + 2].mean(-1) for i in range(0, x.shape[3], 2)], -1)


def timestep_reference(state, levels, x, time):
    x, features = convolve(x, state, "conv_in"), []
    for level in range(levels):
        for name, halves in ((f"body.{2 * level}", level > 0), (f"body.{2 * level + 1}", False)):
            h = swish(normalise(x, state, f"{name}.in_layers.0"))
            if halves:
                x, h = pool(x), pool(h)
            h = convolve(h, state, f"{name}.in_layers.2")
            emb = swish(time) @ state[f"{name}.emb_layers.1.weight"].T + state[f"{name}.emb_layers.1.bias"]
            h = swish(normalise(h + emb[:, :, None, None], state, f"{name}.out_layers.0"))
            if f"{name}.skip_connection.weight" in state:
                x = convolve(x, state, f"{name}.skip_connection")
            x = x + convolve(h, state, f"{name}.out_layers.3")
        features.append(x)
    return features


def plain_reference(state, levels, x):
    x, features = convolve(x, state, "conv_in"), []
    for level in range(levels):
        x = pool(x) if level else x
        for name in (f"body.{2 * level}", f"body.{2 * level + 1}"):
            if f"{name}.in_conv.weight" in state:
                x = convolve(x, state, f"{name}.in_conv")
            h = convolve(x, state, f"{name}.block1").clamp(min=0)
            x = x + convolve(h, state, f"{name}.block2")
        features.append(x)
    return features


@pytest.mark.parametrize("widths", [MINIATURE, MIXED])
@pytest.mark.parametrize("size", [(16, 16), (13, 9)])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_both_kinds_agree_with_the_formulas_in_float64(widths, size, dtype, near):
    x, time = inputs(*size)
    for adapter, reference in (
        (timestep(widths), lambda state: timestep_reference(state, len(widths), x, time)),
        (PlainAdapter(widths), lambda state: plain_reference(state, len(widths), x)),
    ):
        expected = reference(filled(adapter).state_dict())
        with torch.no_grad():
            found = adapter.to(dtype)(x.to(dtype), time.to(dtype))
        assert len(found) == len(expected) == len(widths)
        for feature, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(feature.double(), wanted, rtol=near, atol=near)


def test_the_timestep_moves_the_paper_kind_and_not_the_plain_one():
    x, time = inputs(8, 8)
    known, blind = filled(timestep()), filled(PlainAdapter(MINIATURE))
    for first, second in zip(known(x, time), known(x, time + 1), strict=True):
        assert (first - second).abs().max() > 1e-3
    for first, second in zip(blind(x, time), blind(x), strict=True):
        assert torch.equal(first, second)


def test_a_row_of_a_batch_is_worked_alone_and_one_embedding_serves_all():
    x, time = inputs(8, 8)
    adapter = filled(timestep())
    for whole, first, shared in zip(
        adapter(x, time), adapter(x[:1], time[:1]), adapter(x, time[:1]), strict=True
    ):
        torch.testing.assert_close(whole[:1], first)
        torch.testing.assert_close(shared[:1], first)


def test_an_untrained_block_equals_its_skip_path_at_any_timestep():
    torch.manual_seed(0)
    adapter = timestep()
    x, time = inputs(8, 8, dtype=torch.float32)
    for block in adapter.body:
        assert not any(parameter.any() for parameter in block.out_layers[3].parameters())
        assert block.in_layers[2].weight.any()
    start = adapter.conv_in(x)
    widened = adapter.body[2].skip_connection(halve(start))
    features = adapter(x, time)
    for feature, wanted in zip(features, (start, widened, halve(widened)), strict=True):
        assert torch.equal(feature, wanted)
    assert features[2].any()


def named(text):
    """Keys and shapes out of lines `layer  shape of its weight`; a bias is as long as the weight."""
    shapes = {}
    for layer, *shape in map(str.split, text.strip().splitlines()):
        shapes[f"{layer}.weight"] = tuple(map(int, shape))
        shapes[f"{layer}.bias"] = (int(shape[0]),)
    return shapes


PAPER_START = named("""
    conv_in                  320    4 3 3
    body.0.in_layers.0       320
    body.0.in_layers.2       320  320 3 3
    body.0.emb_layers.1      320 1280
    body.0.out_layers.0      320
    body.0.out_layers.3      320  320 3 3
    body.2.in_layers.0       320
    body.2.in_layers.2       640  320 3 3
    body.2.emb_layers.1      640 1280
    body.2.out_layers.0      640
    body.2.out_layers.3      640  640 3 3
    body.2.skip_connection   640  320 1 1
""")
PLAIN_START = named("""
    conv_in          320    4 3 3
    body.0.block1    320  320 3 3
    body.0.block2    320  320 1 1
    body.2.in_conv   640  320 1 1
    body.2.block1    640  640 3 3
    body.2.block2    640  640 1 1
""")
START = ("conv_in.", "body.0.", "body.2.")


def shapes_of(adapter):
    return {key: tuple(tensor.shape) for key, tensor in adapter.state_dict().items()}


def test_keys_are_the_published_ones_on_sd1():
    with torch.device("meta"):
        paper, plain = shapes_of(timestep(SD1, 1280)), shapes_of(PlainAdapter(SD1))
    assert {key: shape for key, shape in paper.items() if key.startswith(START)} == PAPER_START
    assert {key: shape for key, shape in plain.items() if key.startswith(START)} == PLAIN_START
    for shapes in (paper, plain):
        first, second = ({k[7:]: v for k, v in shapes.items() if k.startswith(f"body.{i}.")} for i in (0, 1))
        assert first == second
    assert len(paper) == 2 + 8 * 10 + 2 * 2
    assert len(plain) == 2 + 8 * 4 + 2 * 2
    for widening, blocks in (("skip_connection", paper), ("in_conv", plain)):
        found = [key for key in blocks if key.endswith(f"{widening}.weight")]
        assert found == [f"body.2.{widening}.weight", f"body.4.{widening}.weight"]
    assert paper["body.7.out_layers.3.weight"] == (1280, 1280, 3, 3)
    assert plain["body.7.block2.weight"] == (1280, 1280, 1, 1)


@pytest.mark.parametrize("widths", [SD1, SDXL, MINIATURE])
@pytest.mark.parametrize("size", [(64, 64), (13, 9), (1, 1)])
def test_features_have_the_sizes_of_a_unet_that_halves_by_stride_2(widths, size):
    with torch.device("meta"):
        x, time, level = torch.empty(2, 4, *size), torch.empty(2, 1280), torch.empty(2, 1, *size)
        down = nn.Conv2d(1, 1, 3, stride=2, padding=1)
        for adapter in (timestep(widths, 1280), PlainAdapter(widths)):
            expected = [level]
            while len(expected) < len(widths):
                expected.append(down(expected[-1]))
            found = [tuple(feature.shape) for feature in adapter(x, time)]
            assert found == [(2, w, *one.shape[2:]) for w, one in zip(widths, expected, strict=True)]
    if size == (13, 9):
        assert [shape[2:] for shape in found] == [(13, 9), (7, 5), (4, 3), (2, 2)][: len(widths)]


def test_the_last_cell_of_an_odd_side_is_the_mean_of_what_is_there():
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])[None, None]
    assert halve(x)[0, 0].tolist() == [[3.0, 4.5], [7.5, 9.0]]


def test_norms_of_narrow_levels_have_as_many_groups_as_divide_them():
    adapter = timestep((48, 16, 320))
    assert [block.in_layers[0].num_groups for block in adapter.body] == [16, 16, 16, 16, 16, 32]
    assert [feature.shape[1] for feature in adapter(*inputs(8, 8, dtype=torch.float32))] == [48, 16, 320]


class Marked:
    Conv2d, Linear, GroupNorm = (type("Mine", (one,), {}) for one in (nn.Conv2d, nn.Linear, nn.GroupNorm))


@pytest.mark.parametrize("adapter", [timestep(), PlainAdapter(MINIATURE)])
def test_layers_are_made_by_the_given_operations(adapter):
    made = adapter_from_tensors(adapter.state_dict(), operations=Marked)
    layers = [type(module) for module in made.modules() if list(module.parameters(recurse=False))]
    assert set(layers) <= {Marked.Conv2d, Marked.Linear, Marked.GroupNorm}  # and not their bases
    assert 2 * len(layers) == len(adapter.state_dict())


@pytest.mark.parametrize(
    ("adapter", "time_width"),
    [
        (timestep(), 48),
        (timestep(MIXED, 7, in_channels=16), 7),
        (timestep((8,), 32), 32),
        (PlainAdapter(MINIATURE), None),
        (PlainAdapter(MIXED, in_channels=16), None),
    ],
)
def test_kind_and_widths_are_told_by_the_tensors(adapter, time_width):
    tensors = filled(adapter, torch.float16).state_dict()
    found = adapter_from_tensors(tensors)
    channels = adapter.conv_in.in_channels
    assert (found.kind, found.widths, found.conv_in.in_channels) == (adapter.kind, adapter.widths, channels)
    assert getattr(found, "time_width", None) == time_width
    for key, tensor in found.state_dict().items():
        assert (tensor.dtype, tensor.data_ptr()) == (torch.float16, tensors[key].data_ptr())
    assert all(parameter.requires_grad for parameter in found.parameters())
    x, time = (torch.randn(1, channels, 4, 4), torch.randn(1, time_width or 1))
    for one, other in zip(adapter.float()(x, time), found.float()(x, time), strict=True):
        assert torch.equal(one, other)


def without(state, *keys):
    return {key: tensor for key, tensor in state.items() if key not in keys}


ONE = torch.ones(1)
PAPER, PLAIN = timestep((32, 64)).state_dict(), PlainAdapter((32, 64)).state_dict()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, r"no factor adapter: neither body\.0\.in_layers\.2\.weight \(timestep\) nor .*, but nothing"),
        ({"x.lora_up.weight": ONE}, r"nor body\.0\.block1\.weight \(plain\) .*, but x\.lora_up\.weight"),
        (without(PAPER, "conv_in.weight"), r"conv_in\.weight is missing; a timestep .* 32, 64 channels"),
        (without(PAPER, "body.1.out_layers.3.bias"), r"body\.1\.out_layers\.3\.bias is missing"),
        (without(PAPER, "body.2.skip_connection.weight"), r"body\.2\.skip_connection\.weight is missing"),
        (without(PAPER, "body.0.emb_layers.1.weight"), r"body\.0\.emb_layers\.1\.weight is missing"),
        (without(PAPER, "body.2.in_layers.2.weight"), r"body\.2\.in_layers\.2\.weight is missing; a time"),
        (without(PLAIN, "body.3.block2.weight"), r"body\.3\.block2\.weight is missing; a plain adapter"),
        (PLAIN | {"body.0.skep.bias": ONE}, r"body\.0\.skep\.bias is unexpected; a plain adapter"),
        (PAPER | PLAIN, r"body\.0\.block1\.weight is unexpected; a timestep .* needs only 44 others"),
        (PAPER | {"body.6.block1.weight": ONE}, r"body\.4\.in_layers\.2\.weight is missing"),
        (PLAIN | {"body.2.block1.weight": ONE}, r"body\.2\.block1\.weight is \[1\]; a plain adapter"),
        (
            PLAIN | {"body.1.block2.weight": torch.ones(2, 32, 1, 1)},
            r"is \[2, 32, 1, 1\]; .* \[32, 32, 1, 1\]",
        ),
        (PAPER | {"body.3.emb_layers.1.weight": torch.ones(64, 9)}, r"is \[64, 9\]; .* needs \[64, 48\]"),
        (PLAIN | {"conv_in.bias": torch.ones(32).char()}, r"conv_in\.bias is of torch\.int8; .* floats"),
    ],
)
def test_the_first_key_that_does_not_fit_is_named(tensors, message):
    with pytest.raises(ValueError, match=message):
        adapter_from_tensors(tensors)


def test_inputs_of_another_base_model_are_named():
    adapter = timestep()
    x, time = inputs(8, 8, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"x: got \[2, 16, 8, 8\]; this factor reads .* \(B, 4, h, w\)"):
        adapter(x.repeat(1, 4, 1, 1), time)
    with pytest.raises(ValueError, match=r"time_embedding: got none; this factor reads \(2, 48\)"):
        adapter(x)
    with pytest.raises(ValueError, match=r"time_embedding: got \[2, 1280\]; this factor reads \(2, 48\)"):
        adapter(x, torch.ones(2, 1280))
    with pytest.raises(ValueError, match=r"time_embedding: got \[3, 48\]"):
        adapter(x, torch.ones(3, 48))
    with pytest.raises(ValueError, match=r"widths: got \[\]; give the widths of the base's encoder levels"):
        PlainAdapter([])
    with pytest.raises(ValueError, match=r"widths: got \[64, 0\]"):
        timestep((64, 0))
