"""*Composite Box* as ComfyUI's page sees it."""

from __future__ import annotations


def test_bypassed_it_hands_on_the_edit(comfy):
    from finesse.nodes.small_objects.composite_box import CompositeBox

    # The page takes the input at the output's place, if its type fits
    schema = CompositeBox.define_schema()
    assert schema.outputs[0].io_type == schema.inputs[0].io_type == "IMAGE"
    assert schema.inputs[0].id == "edited"
