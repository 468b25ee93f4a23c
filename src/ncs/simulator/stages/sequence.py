"""ReverseSequence and CTCDecoder (greedy)."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("ReverseSequence")
def reverse_sequence(call: Call) -> None:
    """Reverse the first `length` elements of each sequence. Tensors: input, lengths, output."""
    sequence, batch = call.params("ii")
    values, lengths = call.read(0), call.read(1).reshape(-1).astype(np.int64)
    moved = np.moveaxis(values, [values.ndim - 1 - batch, values.ndim - 1 - sequence], [0, 1]).copy()
    for row, length in zip(moved, lengths):
        row[:length] = row[:length][::-1].copy()
    call.write(2, np.moveaxis(moved, [0, 1], [values.ndim - 1 - batch, values.ndim - 1 - sequence]))


@stage("CTCDecoder")
def ctc_decoder(call: Call) -> None:
    """Decode greedily; the last class is blank. Tensors: probabilities (time, batch, class), sequence mask, output."""
    probabilities = call.read_caffe_order(0)
    values: np.ndarray = probabilities.reshape(probabilities.shape[-3:])
    sequence_mask = call.read_caffe_order(1).reshape(values.shape[0], values.shape[1])
    result = np.full((values.shape[1], values.shape[0]), -1, np.float32)
    for batch in range(values.shape[1]):
        previous, count = -1, 0
        for time in range(values.shape[0]):
            if time and not sequence_mask[time, batch]:
                break
            best = int(values[time, batch].argmax())
            if best != values.shape[2] - 1 and best != previous:
                result[batch, count] = best
                count += 1
            previous = best
    call.write_image(2, result[:, :, None, None])
