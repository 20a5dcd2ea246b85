"""Finds connected components of a label map or a mask; pixels that touch at a corner are connected.

It is a union-find whose nodes are runs, the stretches of one label in a row.
"""

from __future__ import annotations

import numpy as np


def connected_components(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find the connected components of labels (H, W), numbered by their first pixel in scan order.

    Returns the number of every pixel (H, W), and for each component its label, area and x, y, right, bottom.
    """
    width = labels.shape[1]
    begins = np.ones(labels.shape, bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = (np.cumsum(begins, dtype=np.int32) - 1).reshape(labels.shape)
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=labels.size)
    row, left = starts // width, starts % width

    roots = _roots(len(starts), *_touching(labels, runs))
    first = np.flatnonzero(roots == np.arange(len(roots)))
    number = np.searchsorted(first, roots)
    areas = np.bincount(number, lengths).astype(np.int64)
    boxes = np.stack([left[first], row[first], np.zeros_like(first), np.zeros_like(first)], 1)
    np.minimum.at(boxes[:, 0], number, left)
    np.maximum.at(boxes[:, 2], number, left + lengths)
    np.maximum.at(boxes[:, 3], number, row + 1)
    return number[runs], labels.ravel()[starts[first]], areas, boxes


def _touching(labels: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs of one label in neighbouring rows that touch, straight or diagonally."""
    width = labels.shape[1]
    above, below = [], []
    for shift in (-1, 0, 1):
        upper = slice(max(0, -shift), width - max(0, shift))
        lower = slice(max(0, shift), width - max(0, -shift))
        same = labels[:-1, upper] == labels[1:, lower]
        a, b = runs[:-1, upper][same], runs[1:, lower][same]
        new = np.ones(len(a), bool)
        new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
        above.append(a[new])
        below.append(b[new])
    return np.concatenate(above), np.concatenate(below)


def _roots(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """For each of `count` nodes, the smallest node that it is connected to by the edges a–b.

    In every round each tree hooks onto its smallest neighbour and is flattened. Two rounds at least halve the
    number of trees.
    """
    parent = np.arange(count)
    while True:
        a, b = parent[a], parent[b]
        open_ = a != b
        if not open_.any():
            return parent
        a, b = np.maximum(a[open_], b[open_]), np.minimum(a[open_], b[open_])
        np.minimum.at(parent, a, b)
        while not np.array_equal(parent, grandparent := parent[parent]):
            parent = grandparent
