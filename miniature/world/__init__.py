"""The small world: scenes of emoji, and all that is true of them."""
