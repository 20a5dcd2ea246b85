"""Paths of the miniature's weights."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights" / "64"
FACTORS = [f"{name}.safetensors" for name in ("segmentation", "depth", "sketch", "pose")]
