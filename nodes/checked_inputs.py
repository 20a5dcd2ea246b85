"""Checks numbers, choices and texts of every node against its own schema, whichever way they came.

ComfyUI checks what is typed into a node. What is linked to it, or comes from a graph that another node
builds while it runs, reaches the node as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from numbers import Integral, Real
from typing import Any

from comfy_api.latest import io
from typing_extensions import override

SHOWN = 8  # how many choices a message lists, those most like what came


def checked(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Wrap a node so that it refuses values outside its schema before it does anything.

    Raises ValueError that names the input, what came and what to give. As in ComfyUI, inputs that the node's
    `validate_inputs` names are the node's own to check.
    """
    own = {
        name for name, kind in _parameters(node.validate_inputs) if kind is not inspect.Parameter.VAR_KEYWORD
    }

    class Checked(node):
        @classmethod
        @override
        def execute(cls, **inputs: Any) -> io.NodeOutput:
            for item in cls.define_schema().inputs:
                if item.id in inputs and item.id not in own:
                    _check(item, inputs[item.id], item.id)
            return super().execute(**inputs)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Checked, name, getattr(node, name))
    return Checked


def _parameters(function: Any) -> Iterator[tuple[str, Any]]:
    return ((name, parameter.kind) for name, parameter in inspect.signature(function).parameters.items())


def _check(item: io.Input, value: Any, name: str) -> None:
    """Raise ValueError unless the input `item` allows `value`; `name` is the input's path in the schema."""
    if value is None and (item.optional or item.lazy):
        return
    if isinstance(item, io.DynamicCombo.Input):
        chosen = {option.key: option for option in item.options}
        values = value if isinstance(value, Mapping) else {item.id: value}
        key = values.get(item.id)
        _check_choice(key, list(chosen), name)
        for inner in chosen[key].inputs:
            if inner.id in values:
                _check(inner, values[inner.id], f"{name}.{inner.id}")
    elif isinstance(item, io.Combo.Input):
        for each in value if item.multiselect and isinstance(value, Sequence) else [value]:
            _check_choice(each, item.options, name)
    elif isinstance(item, io.Int.Input):
        _check_number(value, Integral, "a whole number", item, name)
    elif isinstance(item, io.Float.Input):
        _check_number(value, Real, "a number", item, name)
    elif isinstance(item, io.String.Input) and not isinstance(value, str):
        raise ValueError(f"{name} is {_short(value)}; give a text, typed or linked.")


def _check_number(value: Any, kind: type, called: str, item: Any, name: str) -> None:
    lowest, highest = item.min, item.max
    fits = isinstance(value, kind) and value == value  # NaN fails this too
    if not fits or (lowest is not None and value < lowest) or (highest is not None and value > highest):
        bounds = "" if lowest is None else f" from {lowest}"
        bounds += "" if highest is None else f" to {highest}"
        raise ValueError(f"{name} is {_short(value)}; give {called}{bounds}, typed or linked.")


def _check_choice(value: Any, options: Sequence[Any], name: str) -> None:
    if value in options:
        return
    alike = sorted(options, key=lambda own: -SequenceMatcher(None, str(own), str(value)).ratio())
    more = f" or {len(options) - SHOWN} others" if len(options) > SHOWN else ""
    shown = ", ".join(str(own) for own in (alike[:SHOWN] if more else options))
    raise ValueError(f"{name} is {_short(value)}; choose one of {shown}{more}.")


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 80 else f"{told[:80]}…"
