"""The adapter that turns a frozen Stable Diffusion into a factor of FG-DM: a sampler of condition maps.

FG-DM, "Architecture": feature i is added to what the UNet's encoder puts out at the end of its level i.
Two kinds are published: the paper's, which knows the timestep, and the plain one of the authors' released
`fgdm_seg.pth`, which does not. Both keep the authors' key names, and `adapter_from_tensors` tells them apart.

Features are halved as a UNet halves its own, to ceil(h / 2): at the edge of an odd side the last cell is the
mean of the cells that are there. For even sides this is the authors' average-pooling.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = 2  # a level
LIVE = 4  # of a block: its input, what it has computed so far, and a layer's input and output
MARGIN = 1.25  # for what layers need in passing
GROUPS = 32


class FactorAdapter(nn.Module):
    """Both kinds of adapter: a 3x3 convolution, then two residual blocks a level, the first one halving.

    widths: of the base's encoder levels; (320, 640, 1280, 1280) for SD1.x, (320, 640, 1280) for SDXL.
    operations: where the layers are taken from, `torch.nn` or a namespace like it, such as `comfy.ops`'s.
    """

    kind: ClassVar[str]
    mark: ClassVar[str]  # a weight of every block that only this kind has, (width, …, 3, 3)

    def __init__(self, widths: Sequence[int], in_channels: int, operations: Any) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths: got {list(widths)}; give the widths of the base's encoder levels")
        self.widths = tuple(widths)
        self.conv_in = operations.Conv2d(in_channels, widths[0], 3, padding=1)
        self.body = nn.ModuleList()

    def forward(self, x: Tensor, time_embedding: Tensor | None = None) -> list[Tensor]:
        """One feature a level, (B, widths[i], ceil(h / 2^i), ceil(w / 2^i)), for a latent x (B, C, h, w).

        time_embedding: (B or 1, E), what the UNet's own `time_embed` gives; the plain kind does not read it.
        Raises ValueError when x or time_embedding is of another width than the weights.
        """
        self._check(x, time_embedding)
        features = []
        x = self.conv_in(x)
        for end in range(BLOCKS, len(self.body) + 1, BLOCKS):
            for block in self.body[end - BLOCKS : end]:
                x = block(x, time_embedding)
            features.append(x)
        return features

    def _check(self, x: Tensor, time_embedding: Tensor | None) -> None:
        if x.ndim != 4 or x.shape[1] != self.conv_in.in_channels:
            raise ValueError(
                f"x: got {list(x.shape)}; this factor reads a latent (B, {self.conv_in.in_channels}, h, w)"
            )

    def _plan(self) -> Iterator[tuple[int, int, bool]]:
        """Width in, width out and whether it halves, block by block."""
        previous = self.widths[0]
        for level, width in enumerate(self.widths):
            yield previous, width, level > 0
            yield width, width, False
            previous = width


class TimestepAdapter(FactorAdapter):
    """The paper's adapter: each residual block is told the timestep.

    time_width: E of the UNet's time embedding, 4 * widths[0] in Stable Diffusion. The last convolution of a
    block starts at zero, so that an untrained block equals its skip path (pooled and widened as need be).
    """

    kind = "timestep"
    mark = "in_layers.2.weight"

    def __init__(
        self, widths: Sequence[int], time_width: int, *, in_channels: int = 4, operations: Any = nn
    ) -> None:
        super().__init__(widths, in_channels, operations)
        self.time_width = time_width
        self.body.extend(TimestepBlock(*plan, time_width, operations) for plan in self._plan())

    def _check(self, x: Tensor, time_embedding: Tensor | None) -> None:
        super()._check(x, time_embedding)
        shape = None if time_embedding is None else list(time_embedding.shape)
        if shape not in ([len(x), self.time_width], [1, self.time_width]):
            raise ValueError(
                f"time_embedding: got {shape or 'none'}; this factor reads ({len(x)}, {self.time_width}), the"
                " embedding of the base model that it was trained with"
            )


class PlainAdapter(FactorAdapter):
    """The adapter of the authors' `fgdm_seg.pth`: T2I-Adapter's blocks (Mou et al. 2023), no timestep."""

    kind = "plain"
    mark = "block1.weight"

    def __init__(self, widths: Sequence[int], *, in_channels: int = 4, operations: Any = nn) -> None:
        super().__init__(widths, in_channels, operations)
        self.body.extend(PlainBlock(*plan, operations) for plan in self._plan())


class TimestepBlock(nn.Module):
    """skip(x) + conv(SiLU(norm(conv(SiLU(norm(x))) + time))), conv 3x3; the skip is 1x1 where widths differ.

    Where it halves, it pools x on the skip path, and inside after the first SiLU, as in the authors' code.
    """

    def __init__(self, width_in: int, width: int, halves: bool, time_width: int, operations: Any) -> None:
        super().__init__()
        self.halves = halves
        self.in_layers = nn.Sequential(
            _norm(width_in, operations), nn.SiLU(), operations.Conv2d(width_in, width, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), operations.Linear(time_width, width))
        self.out_layers = nn.Sequential(
            _norm(width, operations),
            nn.SiLU(),
            nn.Identity(),  # a dropout of 0 in the authors' block, and a place in the numbering
            operations.Conv2d(width, width, 3, padding=1),
        )
        nn.init.zeros_(self.out_layers[3].weight)
        nn.init.zeros_(self.out_layers[3].bias)
        self.skip_connection = (
            nn.Identity() if width_in == width else operations.Conv2d(width_in, width, kernel_size=1)
        )

    def forward(self, x: Tensor, time_embedding: Tensor) -> Tensor:
        """(B, width_in, h, w) -> (B, width, h, w), or half of h and w, rounded up."""
        norm, silu, convolution = self.in_layers
        h = silu(norm(x))
        if self.halves:
            x, h = halve(x), halve(h)
        h = convolution(h) + self.emb_layers(time_embedding)[:, :, None, None]  # BW -> BW11
        return self.skip_connection(x) + self.out_layers(h)


class PlainBlock(nn.Module):
    """x + block2(ReLU(block1(x))), 3x3 and 1x1, after halving and a 1x1 `in_conv` where widths differ."""

    def __init__(self, width_in: int, width: int, halves: bool, operations: Any) -> None:
        super().__init__()
        self.halves = halves
        self.in_conv = (
            nn.Identity() if width_in == width else operations.Conv2d(width_in, width, kernel_size=1)
        )
        self.block1 = operations.Conv2d(width, width, 3, padding=1)
        self.block2 = operations.Conv2d(width, width, kernel_size=1)

    def forward(self, x: Tensor, time_embedding: Tensor | None = None) -> Tensor:
        """(B, width_in, h, w) -> (B, width, h, w), or half of h and w, rounded up."""
        x = self.in_conv(halve(x) if self.halves else x)
        return x + self.block2(F.relu(self.block1(x)))


class Factor(nn.Module):
    """A factor: the adapter of a first one, which reads its own noisy latent, or one adapter for each parent.

    The features of several parents are summed (FG-DM, "Architecture"; the sum is our reading).
    """

    def __init__(self, adapters: Sequence[FactorAdapter]) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(adapters)
        first, *others = map(_likeness, adapters)
        for other in others:
            if other != first:
                raise ValueError(
                    f"adapters: got {other} beside {first}; those of one factor are of one kind and for one"
                    " base model"
                )

    @property
    def kind(self) -> str:
        return self.adapters[0].kind

    @property
    def widths(self) -> tuple[int, ...]:
        return self.adapters[0].widths

    @property
    def time_width(self) -> int | None:
        """E of the time embedding that the timestep kind reads; None for the plain kind."""
        return getattr(self.adapters[0], "time_width", None)

    def forward(self, latents: Sequence[Tensor], time_embedding: Tensor | None = None) -> list[Tensor]:
        """One feature a level for as many latents (B, C, h, w) as there are adapters; see `FactorAdapter`."""
        features = [
            adapter(latent, time_embedding) for adapter, latent in zip(self.adapters, latents, strict=True)
        ]
        return [reduce(torch.add, level) for level in zip(*features, strict=True)]

    def peak_bytes(self, cells: int, itemsize: int) -> int:
        """Most memory that a forward pass without gradients takes besides the weights, with a margin.

        cells: B * h * w of the latents. itemsize: bytes per number. The peak is in the first level of the
        last adapter, where a block holds LIVE tensors of its width and the other adapters their features.
        """
        features = sum(width / 4**level for level, width in enumerate(self.widths))
        numbers = LIVE * self.widths[0] + features * (len(self.adapters) - 1)
        return math.ceil(MARGIN * cells * itemsize * numbers)

    def tensors(self) -> dict[str, Tensor]:
        """The state dict under the authors' names: an only adapter's as they are, else behind adapters.K."""
        return dict((self if len(self.adapters) > 1 else self.adapters[0]).state_dict())


def _likeness(adapter: FactorAdapter) -> str:
    """Describe what the adapters of one factor have in common."""
    reads = f" and a time embedding of {adapter.time_width}" if isinstance(adapter, TimestepAdapter) else ""
    return f"a {adapter.kind} adapter with levels of {', '.join(map(str, adapter.widths))} channels{reads}"


def factor_from_tensors(tensors: Mapping[str, Tensor], *, operations: Any = nn) -> Factor:
    """The factor that `Factor.tensors` are of. Weights and errors as of `adapter_from_tensors`.

    Raises ValueError also when the adapters are not numbered from 0 without a gap.
    """
    groups: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = re.fullmatch(r"adapters\.(\d+)\.(.+)", key)
        place, name = (int(match[1]), match[2]) if match else (0, key)
        groups.setdefault(place, {})[name] = tensor
    if sorted(groups) != list(range(len(groups))):
        raise ValueError(f"adapters {sorted(groups)} are in it; they must be numbered from 0, without a gap")
    count = max(1, len(groups))
    return Factor([adapter_from_tensors(groups.get(i, {}), operations=operations) for i in range(count)])


def halve(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, ceil(h / 2), ceil(w / 2)): means of 2 x 2 cells, fewer at an odd edge."""
    return F.avg_pool2d(x, 2, ceil_mode=True)


def adapter_from_tensors(tensors: Mapping[str, Tensor], *, operations: Any = nn) -> FactorAdapter:
    """The adapter that a state dict is of; its keys and shapes tell kind, widths, channels and time width.

    The tensors become its weights as they are: no copy, dtype and device kept. Raises ValueError with the
    first key that is missing, unexpected, of another shape or not of floats.
    """
    kind = next((kind for kind in KINDS if any(key.endswith(kind.mark) for key in tensors)), None)
    if kind is None:
        marks = " nor ".join(f"body.0.{kind.mark} ({kind.kind})" for kind in KINDS)
        raise ValueError(f"no factor adapter: neither {marks} is in it, but {next(iter(tensors), 'nothing')}")
    with torch.device("meta"):
        arguments = _arguments(kind, tensors)
        _check_fit(tensors, kind(**arguments))
        adapter = kind(**arguments, operations=operations)
    adapter.load_state_dict(dict(tensors), assign=True)
    return adapter


KINDS: tuple[type[FactorAdapter], ...] = (TimestepAdapter, PlainAdapter)


def _arguments(kind: type[FactorAdapter], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The constructor's arguments, as far as the tensors tell them."""
    matches = (re.match(r"body\.(\d+)\.", key) for key in tensors)
    blocks = 1 + max((int(match[1]) for match in matches if match), default=0)
    arguments: dict[str, Any] = {
        "widths": [_width(kind, tensors, block) for block in range(0, blocks, BLOCKS)],
        "in_channels": _inputs(tensors, "conv_in.weight", 4),
    }
    if kind is TimestepAdapter:
        arguments["time_width"] = _inputs(tensors, "body.0.emb_layers.1.weight", 4 * arguments["widths"][0])
    return arguments


def _width(kind: type[FactorAdapter], tensors: Mapping[str, Tensor], block: int) -> int:
    key = f"body.{block}.{kind.mark}"
    if key not in tensors or tensors[key].ndim != 4:
        found = list(tensors[key].shape) if key in tensors else "missing"
        raise ValueError(f"{key} is {found}; a {kind.kind} adapter needs [width, width, 3, 3]")
    return len(tensors[key])


def _inputs(tensors: Mapping[str, Tensor], key: str, otherwise: int) -> int:
    return tensors[key].shape[1] if key in tensors and tensors[key].ndim > 1 else otherwise


def _check_fit(tensors: Mapping[str, Tensor], adapter: FactorAdapter) -> None:
    needs = f"a {adapter.kind} adapter with levels of {', '.join(map(str, adapter.widths))} channels needs"
    wanted = adapter.state_dict()
    for key, tensor in wanted.items():
        if key not in tensors:
            raise ValueError(f"{key} is missing; {needs} it")
        if tensors[key].shape != tensor.shape:
            raise ValueError(f"{key} is {list(tensors[key].shape)}; {needs} {list(tensor.shape)}")
        if not tensors[key].is_floating_point():
            raise ValueError(f"{key} is of {tensors[key].dtype}; {needs} floats")
    for key in tensors:
        if key not in wanted:
            raise ValueError(f"{key} is unexpected; {needs} only {len(wanted)} others")


def _norm(width: int, operations: Any) -> nn.Module:
    return operations.GroupNorm(math.gcd(GROUPS, width), width)
