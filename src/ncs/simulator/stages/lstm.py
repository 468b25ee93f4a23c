"""LSTMCell: one or more steps of an LSTM; gates in OpenVINO's order (forget, input, candidate, output)."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.products import matmul
from ncs.simulator.stages import stage


@stage("LSTMCell")
def lstm_cell(call: Call) -> None:
    """Input, hidden state, cell state, weights (of the input, then of the state), biases, then up to three outputs."""
    forward, steps, batch, _, outputs = call.params("iiiii")
    hidden, cell = (call.read(number).reshape(batch, -1) for number in (1, 2))
    state = hidden.shape[1]
    values = call.read(0).reshape(batch, steps, -1)
    packed = call.read(3).reshape(-1)
    split = 4 * state * values.shape[2]
    of_input, of_state = packed[:split].reshape(4 * state, -1), packed[split:].reshape(4 * state, -1)
    biases = call.read(4).reshape(1, -1) if call.has(4) else 0
    results = np.empty((batch, steps, state), np.float32)
    for step in range(steps) if forward else reversed(range(steps)):
        sums = matmul(of_input, values[:, step].T, call.half).T + matmul(of_state, hidden.T, call.half).T + biases
        forget, enter, candidate, leave = np.split(sums, 4, 1)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(candidate)
        hidden = _sigmoid(leave) * np.tanh(cell)
        results[:, step] = hidden
    for number, result in zip(range(outputs), (results, hidden, cell) if outputs == 3 else (results, cell)):
        if call.has(5 + number):
            call.write(5 + number, result.reshape(call.tensor(5 + number).dims))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
