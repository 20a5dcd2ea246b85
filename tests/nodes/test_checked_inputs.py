"""The limits of every node's schema hold for linked values too, which ComfyUI lets pass."""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter

import pytest
from finesse.benchmarks import parity
from finesse.tests.coroutines import awaited

LINKED = object()  # in place of pictures, models and the like


class ReachedError(Exception):
    """The node itself was called."""


def nodes():
    """The node types as ComfyUI is given them."""
    parity.import_comfyui()
    from finesse.nodes import FinesseExtension

    return awaited(FinesseExtension().get_node_list())


def cases():
    """Each input of each node with limits that ComfyUI is to hold."""
    for node in nodes():
        for item in node.define_schema().inputs:
            if item.get_io_type() in ("INT", "FLOAT", "COMBO", "STRING") and item.id not in own_checks(node):
                yield pytest.param(node, item, id=f"{node.__name__}-{item.id}")


def own_checks(node):
    """The inputs that a node checks itself."""
    return set(inspect.signature(node.validate_inputs).parameters) - {"kwargs"}


def reaching(node):
    """The node with its checks, and nothing else."""
    from finesse.nodes.checked_inputs import checked

    def reached(cls, **inputs):
        raise ReachedError(inputs)

    return checked(type(node.__name__, node.__bases__, {"execute": classmethod(reached)}))


def defaults(node):
    """A value for each input: the schema's, if it has one."""
    given = {}
    for item in node.define_schema().inputs:
        empty = {
            "COMBO": lambda item=item: item.options[0],
            "COMFY_DYNAMICCOMBO_V3": lambda item=item: {item.id: item.options[0].key},
            "STRING": str,
        }.get(item.get_io_type(), lambda: LINKED)
        default = getattr(item, "default", None)
        given[item.id] = empty() if default is None else default
    return given


def bad_values(item):
    """Values outside what an input offers, and how the message ends."""
    kind = item.get_io_type()
    if kind == "COMBO":
        return ["no such", 1, ["a"]], "; choose one of "
    if kind == "STRING":
        return [5, ["a"]], "; give a text, typed or linked."
    step, number = (1, "a whole number") if kind == "INT" else (1e-9, "a number")
    values = [item.min - step, item.max + step, -(2**70), 2**70, math.nan, math.inf, "5", [5], None]
    return values, f"; give {number} from {item.min} to {item.max}, typed or linked."


def test_every_number_has_limits_and_every_kind_is_here():
    items = [case.values[1] for case in cases()]
    assert min(Counter(item.get_io_type() for item in items).values()) > 9
    assert all(item.min is not None and item.max is not None for item in items if hasattr(item, "min"))


@pytest.mark.parametrize("node", nodes(), ids=lambda node: node.__name__)
def test_what_the_page_offers_reaches_the_node(node):
    given, items = defaults(node), node.define_schema().inputs
    with pytest.raises(ReachedError) as reached:
        reaching(node).execute(**given)
    assert reached.value.args == (given,)
    required = {item.id: given[item.id] for item in items if not item.optional}
    ends = [{item.id: end} for item in items if hasattr(item, "min") for end in (item.min, item.max)]
    for changed in ({}, *ends):
        with pytest.raises(ReachedError):
            reaching(node).execute(**required | changed)


@pytest.mark.parametrize(("node", "item"), list(cases()))
def test_what_it_does_not_offer_is_refused_in_words(node, item):
    values, said = bad_values(item)
    for value in values:
        if value is None and item.optional:
            continue
        with pytest.raises(ValueError, match=f"^{item.id} is {re.escape(repr(value))}{re.escape(said)}"):
            node.execute(**defaults(node) | {item.id: value})


def test_files_are_the_nodes_own_to_check():
    """Their messages tell where to put them."""
    found = {name for node in nodes() for name in own_checks(node)}
    assert found == {"checkpoint", "edit", "factor", "lora", "segmenter", "tuned_vae"}


@pytest.fixture(scope="module")
def choosing():
    """A node with choices that have inputs of their own."""
    parity.import_comfyui()
    from comfy_api.latest import io
    from finesse.nodes.checked_inputs import checked

    class Choosing(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            options = [
                io.DynamicCombo.Option("draw", [io.Int.Input("steps", min=1, max=9)]),
                io.DynamicCombo.Option("given", []),
            ]
            source = io.DynamicCombo.Input("source", options=options)
            return io.Schema("Choosing", inputs=[source, io.Int.Input("seed", optional=True, min=0, max=9)])

    return reaching(checked(Choosing))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"source": "draw", "steps": 10}, r"^source\.steps is 10; give a whole number from 1 to 9"),
        ({"source": "fetch"}, "^source is 'fetch'; choose one of draw, given"),
        ({}, "^source is None; choose one of draw, given"),
        ("draw", None),
        ({"source": "draw", "steps": 9}, None),
        ({"source": "given"}, None),
    ],
)
def test_inputs_of_a_choice_are_checked_too(choosing, source, said):
    with pytest.raises(ValueError if said else ReachedError, match=said):
        choosing.execute(source=source)


def test_an_optional_input_may_be_left_empty(choosing):
    with pytest.raises(ReachedError):
        choosing.execute(source={"source": "given"}, seed=None)


def test_of_many_choices_those_most_alike_are_told():
    (case,) = [case for case in cases() if case.id == "SampleConditionMaps-sampler_name"]
    node, item = case.values
    with pytest.raises(ValueError, match=r"sampler_name is 'eulr'; choose one of euler, .* or \d+ others\.$"):
        node.execute(**defaults(node) | {item.id: "eulr"})
