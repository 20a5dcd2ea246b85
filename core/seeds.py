"""Makes every random number a function of a seed and of where it is used."""

from __future__ import annotations

LARGEST_SEED = 2**64 - 1  # ComfyUI's seeds have 64 bits


def mix(*numbers: int) -> int:
    """Mix several small numbers into one 63-bit seed, so that neighbouring steps share no stream."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = ((state ^ number) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 29
    return state & 0x7FFFFFFFFFFFFFFF
