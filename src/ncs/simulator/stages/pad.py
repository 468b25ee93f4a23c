"""Pad: constant, edge, reflect or symmetric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

if TYPE_CHECKING:
    from typing import Literal  # Python 3.7 has none

MODES: tuple[Literal["constant", "edge", "reflect", "symmetric"], ...] = ("constant", "edge", "reflect", "symmetric")


@stage("Pad")
def pad(call: Call) -> None:
    """Pad before and after each of four axes, counted from the innermost. Tensors: input, output."""
    words = call.params("I" * 8)
    value, mode = call.params("fI")
    values = call.read(0)
    if mode >= len(MODES):
        raise call.error(f"padding mode: expected 0 to {len(MODES) - 1} ({', '.join(MODES)}), received {mode}")
    pads = [(words[2 * axis], words[2 * axis + 1]) for axis in reversed(range(values.ndim))]
    expected = tuple(size + sum(pair) for size, pair in zip(values.shape, pads))
    if expected != call.tensor(1).dims:
        raise call.error(f"padding {values.shape} by {pads} does not give its output {call.tensor(1)}")
    options: dict[str, Any] = {"constant_values": value} if mode == 0 else {}
    call.write(1, np.pad(values, pads, MODES[mode], **options))
