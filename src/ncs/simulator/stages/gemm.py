"""GEMM: alpha · A · B + beta · C over the two innermost axes."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("GEMM")
def gemm(call: Call) -> None:
    """Multiply matrices. Tensors: A, B, C (optional), output."""
    alpha, beta, has_c, transpose_a, transpose_b = call.params("ffiii")
    a, b = call.read(0), call.read(1)
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    result = np.float32(alpha) * (a @ b)
    call.count.macs += result.size * a.shape[-1]
    if has_c:
        result = result + np.float32(beta) * call.read(2)
    number = 3 if has_c else 2
    call.write(number, np.broadcast_to(result, call.tensor(number).dims))
