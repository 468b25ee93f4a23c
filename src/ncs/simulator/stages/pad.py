"""Pad: constant, edge, reflect or symmetric."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

MODES = ("constant", "edge", "reflect", "symmetric")


@stage("Pad")
def pad(call: Call) -> None:
    """Input, output; in front and behind for each of four axes, counted from the innermost."""
    words = call.params("I" * 8)
    value, mode = call.params("fI")
    values = call.read(0)
    if mode >= len(MODES):
        raise call.error(f"pads in mode {mode}; there are {', '.join(MODES)}")
    pads = [(words[2 * axis], words[2 * axis + 1]) for axis in reversed(range(values.ndim))]
    expected = tuple(size + sum(pair) for size, pair in zip(values.shape, pads))
    if expected != call.tensor(1).dims:
        raise call.error(f"pads {values.shape} by {pads} to {call.tensor(1)}")
    options = {"constant_values": value} if mode == 0 else {}
    call.write(1, np.pad(values, pads, MODES[mode], **options))
