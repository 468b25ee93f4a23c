"""Assignment of prior boxes to true boxes, and the choice of negatives, of SSD's MultiBoxLoss (NumPy)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caffe.layers import _boxes

UNMATCHED, IGNORED = -1, -2
_LEAST_OVERLAP = 1e-6


def truth_by_item(rows: np.ndarray, with_difficult: bool = True) -> dict[int, np.ndarray]:
    """Return item -> its true boxes (label, xmin, ymin, xmax, ymax, difficult).

    Parameters
    ----------
    rows : ndarray (n, 8)
        (item, label, instance, xmin, ymin, xmax, ymax, difficult); rows of item -1 are padding.
    with_difficult : bool
        Whether boxes marked as difficult count.
    """
    kept = rows[(rows[:, 0] >= 0) & (with_difficult | (rows[:, 7] == 0))]
    return {int(item): kept[kept[:, 0] == item][:, [1, 3, 4, 5, 6, 7]] for item in np.unique(kept[:, 0])}


def match(
    boxes: np.ndarray, truth: np.ndarray, least: float, bipartite_only: bool, ignore_outside: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Assign each of `boxes` (n, 4) to one of the true boxes (m, 4).

    First each true box gets the box that overlaps it most (one to one, the largest overlap first), then, unless
    `bipartite_only`, each other box the true box that overlaps it most, if by at least `least`.

    Returns
    -------
    ndarray (n), ndarray (n)
        The number of the true box, -1 for none, or -2 for an ignored box; and the largest overlap.
    """
    found = np.full(len(boxes), UNMATCHED)
    if ignore_outside:
        found[(boxes < 0).any(1) | (boxes > 1).any(1)] = IGNORED
    if not len(truth):
        return found, np.zeros(len(boxes))
    table = _boxes.overlaps(boxes[:, None], truth)
    table[(table <= _LEAST_OVERLAP) | (found == IGNORED)[:, None]] = 0
    most = table.max(1)
    free = table.copy()
    for _ in range(len(truth)):
        box, number = np.unravel_index(free.argmax(), free.shape)
        if free[box, number] <= 0:
            break
        found[box] = number
        most[box] = table[box, number]
        free[box], free[:, number] = 0, 0
    if not bipartite_only:
        candidates = (found == UNMATCHED) & (most >= max(least, _LEAST_OVERLAP))
        found[candidates] = table[candidates].argmax(1)
    return found, most


def hardest(
    losses: np.ndarray, eligible: np.ndarray, count: int, nms: Callable[[np.ndarray], list[int]] | None
) -> np.ndarray:
    """Return the numbers of the `count` eligible boxes with the largest losses, after `nms` of them if given."""
    numbers = np.flatnonzero(eligible)
    order = numbers[np.argsort(-losses[numbers], kind="stable")]
    if nms is not None:
        order = order[nms(order)]
    return order[:count]
