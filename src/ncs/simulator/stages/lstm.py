"""LSTMCell: one or more steps of an LSTM; the gates are in OpenVINO's order (forget, input, candidate, output)."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("LSTMCell")
def lstm_cell(call: Call) -> None:
    """Run the steps. Tensors: input, hidden state, cell state, weights (input, state), biases, up to three outputs."""
    forward, steps, batch, _, outputs = call.params("iiiii")
    hidden, cell = (call.read(number).reshape(batch, -1) for number in (1, 2))
    state = hidden.shape[1]
    values = call.read(0).reshape(batch, steps, -1)
    packed = call.read(3).reshape(-1)
    split = 4 * state * values.shape[2]
    input_weights, state_weights = packed[:split].reshape(4 * state, -1), packed[split:].reshape(4 * state, -1)
    biases = call.read(4).reshape(1, -1) if call.has(4) else 0
    results = np.empty((batch, steps, state), np.float32)
    for step in range(steps) if forward else reversed(range(steps)):
        sums = call.matmul(input_weights, values[:, step].T).T + call.matmul(state_weights, hidden.T).T + biases
        forget_gate, input_gate, candidate, output_gate = np.split(sums, 4, 1)
        cell = _sigmoid(forget_gate) * cell + _sigmoid(input_gate) * np.tanh(candidate)
        hidden = _sigmoid(output_gate) * np.tanh(cell)
        results[:, step] = hidden
    for number, result in zip(range(outputs), (results, hidden, cell) if outputs == 3 else (results, cell)):
        if call.has(5 + number):
            call.write(5 + number, result.reshape(call.tensor(5 + number).dims))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
