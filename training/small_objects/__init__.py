"""What SO-LoRA learns, and from what (SOEDiff)."""
