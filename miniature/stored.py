"""Where the miniature's weights lie."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights" / "64"
FACTORS = [f"{name}.safetensors" for name in ("segmentation", "depth", "sketch", "pose")]
