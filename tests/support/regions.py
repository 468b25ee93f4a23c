"""Plain definitions for the tests of layers that choose regions."""


def overlap(a, b):
    """Return the intersection over union of boxes (x1, y1, x2, y2), whose ends do not belong to them."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def best(found, threshold, first, last):
    """Return the rows (score, box) that remain after non-maximum suppression of the `first` best, at most `last`."""
    ranked = sorted(found, key=lambda row: -row[0])[:first]
    kept = []
    for row in ranked:
        if all(overlap(row[1], other[1]) <= threshold for other in kept):
            kept.append(row)
    return kept[:last]
