"""Resample (nearest neighbor) and Interp (bilinear)."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

HALF_PIXEL, PYTORCH_HALF_PIXEL, ASYMMETRIC, TF_HALF_PIXEL, ALIGN_CORNERS = range(5)
ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL, SIMPLE = range(5)


def coordinates(size: int, source: int, mode: int) -> np.ndarray:
    """Return the source coordinate of each of `size` outputs, for a mode of OpenVINO's Interpolate."""
    positions, scale = np.arange(size, dtype=np.float32), np.float32(size / source)
    if size == source:
        return positions
    if mode == ALIGN_CORNERS:
        return positions * np.float32((source - 1) / (size - 1)) if size > 1 else positions * 0
    if mode == ASYMMETRIC:
        return positions / scale
    if mode == TF_HALF_PIXEL:
        return (positions + np.float32(0.5)) / scale
    if mode == PYTORCH_HALF_PIXEL and size == 1:
        return positions * 0
    return (positions + np.float32(0.5)) / scale - np.float32(0.5)


@stage("Resample")
def resample(call: Call) -> None:
    """Resize by nearest neighbor. Tensors: input, output."""
    _, _, kind, mode, nearest = call.params("ifIII")
    if kind != 0:
        raise call.error(f"resampling method: expected 0 (nearest neighbor), received {kind}")
    image, target = call.image(0), dict(zip(call.tensor(1).order, call.tensor(1).dims))
    rows, columns = (
        _nearest(coordinates(target[letter], size, mode), size, target[letter], nearest)
        for letter, size in zip("HW", image.shape[2:])
    )
    call.write_image(1, image[:, :, rows][:, :, :, columns])


def _nearest(positions: np.ndarray, source: int, size: int, mode: int) -> np.ndarray:
    rounded = {
        ROUND_PREFER_FLOOR: np.ceil(positions - np.float32(0.5)),
        ROUND_PREFER_CEIL: np.floor(positions + np.float32(0.5)),
        FLOOR: np.floor(positions),
        CEIL: np.ceil(positions),
        SIMPLE: np.ceil(positions) if size < source else np.floor(positions),
    }[mode]
    return np.clip(rounded, 0, source - 1).astype(np.int64)


@stage("Interp")
def interp(call: Call) -> None:
    """Resize bilinearly. Tensors: input, output."""
    align, _, mode = call.params("iII")
    image, target = call.image(0), dict(zip(call.tensor(1).order, call.tensor(1).dims))
    for axis, letter in ((2, "H"), (3, "W")):
        size, source = target[letter], image.shape[axis]
        positions = coordinates(size, source, ALIGN_CORNERS if align else mode)
        positions = np.clip(positions, 0, source - 1)
        low = np.floor(positions).astype(np.int64)
        high = np.minimum(low + 1, source - 1)
        fraction = (positions - low).reshape([-1 if a == axis else 1 for a in range(4)]).astype(np.float32)
        image = np.take(image, low, axis) * (1 - fraction) + np.take(image, high, axis) * fraction
    call.write_image(1, image)
