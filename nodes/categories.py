"""The nodes' categories in ComfyUI's node library."""

SMALL_OBJECTS = "Finesse/small objects"
CONDITION_MAPS = "Finesse/condition maps"
LAYERS = "Finesse/layers"
