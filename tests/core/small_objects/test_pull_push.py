import numpy as np
import torch
from finesse.core.small_objects.pull_push import pull_push
from scipy.ndimage import zoom


def reference(values, weight):
    """The definition, one picture (h, w, c) in float64; sides are powers of two."""
    levels = [(values * weight[..., None], weight)]
    while len(levels[-1][1]) > 1:
        levels.append(
            tuple(
                part.reshape(len(part) // 2, 2, len(part) // 2, 2, *part.shape[2:]).mean(axis=(1, 3))
                for part in levels[-1]
            )
        )
    filled = np.zeros_like(levels[-1][0])
    for level, (sums, known) in reversed(list(enumerate(levels))):
        if len(filled) < len(known):
            filled = np.stack(
                [zoom(filled[..., c], 2, order=1, grid_mode=True, mode="nearest") for c in range(3)], axis=-1
            )
        own = sums / np.maximum(known, 1e-12)[..., None]
        certainty = np.minimum(known * 4**level, 1)[..., None]
        filled = filled * (1 - certainty) + own * certainty
    return filled


def test_against_the_definition_in_numpy():
    random = np.random.default_rng(0)
    values = random.random((2, 16, 16, 3))
    weight = random.random((2, 16, 16)) * (random.random((2, 16, 16)) > 0.7)
    found = pull_push(torch.from_numpy(values), torch.from_numpy(weight)).numpy()
    for picture in range(2):
        np.testing.assert_allclose(found[picture], reference(values[picture], weight[picture]), atol=1e-12)


def test_what_is_sure_stays_and_what_is_unknown_does_not_matter():
    values, known = torch.rand(2, 13, 29, 3), (torch.rand(1, 13, 29) > 0.6).float()
    spoilt = torch.where(known.unsqueeze(-1) > 0, values, 1e6)
    filled = pull_push(values, known)
    assert torch.equal(filled, pull_push(spoilt, known))
    torch.testing.assert_close(filled[:, known[0] > 0], values[:, known[0] > 0])
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_where_nothing_is_known_nothing_comes_out():
    assert not pull_push(torch.rand(1, 9, 7, 3), torch.zeros(1, 9, 7)).any()
