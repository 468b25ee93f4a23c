"""Bilinear interpolation of one value, as MNC's layers define it; the reference of ROIWarping and MaskResize."""


def value(plane, row, column):
    """Return the value of a plane at a position; 0 farther than half a pixel outside."""
    height, width = plane.shape
    if not (-0.5 <= row <= height - 0.5 and -0.5 <= column <= width - 0.5):
        return 0.0
    row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
    top, left = int(row), int(column)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = row - top, column - left
    upper = plane[top, left] * (1 - across) + plane[top, right] * across
    return upper * (1 - down) + (plane[bottom, left] * (1 - across) + plane[bottom, right] * across) * down
