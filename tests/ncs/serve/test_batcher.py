"""Batcher: every request gets its own rows, batches form while the runner is busy, the queue is bounded."""

import threading

import numpy as np
import pytest

from ncs.serve.batcher import Batcher
from ncs.serve.errors import RequestError


class Runner:
    """Returns twice its rows; waits for `gate` before each batch."""

    in_flight = 1
    device = "TEST"

    def __init__(self):
        self.gate, self.batches, self.closed = threading.Event(), [], False
        self.gate.set()

    def submit(self, batch):
        self.gate.wait(10)
        self.batches.append(len(batch))
        if (batch < 0).any():
            raise ValueError("negative")
        return lambda: 2 * batch

    def close(self):
        self.closed = True


def rows(*values):
    return np.array(values, np.float32).reshape(-1, 1)


@pytest.fixture
def runner():
    return Runner()


def test_requests_get_their_own_rows_in_joint_batches(runner):
    seen = []
    batcher = Batcher(runner, 8, observe=lambda count, seconds: seen.append(count))
    runner.gate.clear()
    futures = [batcher.submit(rows(i, i + 0.5)) for i in range(10)]
    runner.gate.set()
    for i, future in enumerate(futures):
        assert future.result(10).ravel().tolist() == [2 * i, 2 * i + 1]
    batcher.close()
    assert sum(runner.batches) == 20 and max(runner.batches) == 8 and len(runner.batches) <= 5
    assert seen == runner.batches and runner.closed


def test_a_full_queue_refuses_with_retry_after(runner):
    batcher = Batcher(runner, 1, queue=3)
    runner.gate.clear()
    first = batcher.submit(rows(1))
    while batcher.rows:  # until the runner has taken it
        pass
    futures = [batcher.submit(rows(i)) for i in range(3)]
    with pytest.raises(RequestError) as caught:
        batcher.submit(rows(9))
    assert caught.value.status == 503 and caught.value.headers == {"retry-after": "1"}
    runner.gate.set()
    assert [future.result(10)[0, 0] for future in (first, *futures)] == [2, 0, 2, 4]
    batcher.close()


def test_an_error_is_that_of_its_batch_only(runner):
    batcher = Batcher(runner, 1)
    futures = [batcher.submit(rows(value)) for value in (1, -1, 3)]
    assert futures[0].result(10)[0, 0] == 2 and futures[2].result(10)[0, 0] == 6
    with pytest.raises(ValueError, match="negative"):
        futures[1].result(10)
    batcher.close()


def test_cancelled_requests_do_not_run(runner):
    batcher = Batcher(runner, 1)
    runner.gate.clear()
    first = batcher.submit(rows(1))
    while batcher.rows:
        pass
    second, third = batcher.submit(rows(2)), batcher.submit(rows(3))
    assert second.cancel()
    runner.gate.set()
    assert first.result(10)[0, 0] == 2 and third.result(10)[0, 0] == 6
    batcher.close()
    assert runner.batches == [1, 1]


def test_close_finishes_what_waits_and_refuses_more(runner):
    batcher = Batcher(runner, 1)
    futures = [batcher.submit(rows(i)) for i in range(5)]
    batcher.close()
    assert [future.result(0)[0, 0] for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(RequestError, match="stopping"):
        batcher.submit(rows(1))


def test_delay_waits_for_a_full_batch(runner):
    batcher = Batcher(runner, 2, delay=5.0)
    futures = [batcher.submit(rows(1)), batcher.submit(rows(2))]
    assert [future.result(4)[0, 0] for future in futures] == [2, 4]
    batcher.close()
    assert runner.batches == [2]
