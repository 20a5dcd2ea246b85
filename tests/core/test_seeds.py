"""Seeds of neighbouring steps share no stream."""

from __future__ import annotations

from finesse.core.seeds import mix


def test_seeds_of_neighbours_differ():
    seeds = {mix(seed, step) for seed in range(20) for step in range(500)}
    assert len(seeds) == 10_000


def test_any_seed_of_comfyui_gives_one_that_torch_takes():
    seeds = [mix(seed, 0) for seed in (0, 1, 2**63, 2**64 - 1)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == 4
