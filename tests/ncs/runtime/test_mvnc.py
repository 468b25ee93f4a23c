"""The NCSDK runner over simulated sticks, and the scheduler over three of them with faults planted."""

import threading
import time

import numpy as np
import pytest
from runners.simulated import Bus, BusV1

from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime.mvnc import Mvnc
from ncs.runtime.scheduler import Scheduler


def answer(picture):
    """Four numbers that tell pictures apart, channel order and orientation included."""
    weights = np.arange(picture.size, dtype=np.float64).reshape(picture.shape)
    return np.array([picture.sum(), (picture * weights).sum(), picture[0, 1, 2], picture.max()], np.float32)


def expected(pictures):
    return np.stack([answer(p.transpose(1, 2, 0)) for p in pictures])


@pytest.fixture
def graph(tmp_path):
    (tmp_path / "age.graph").write_bytes(b"graph")
    return tmp_path / "age.graph"


@pytest.fixture
def pictures():
    """Whole numbers, so that sums are exact in whatever order they are made."""
    return np.random.default_rng(5).integers(-9, 10, (1000, 3, 4, 4)).astype(np.float32)


def opener(bus, graph, number):
    """Opens stick `number` itself, whatever others are plugged in."""

    def open_():
        if not bus.plugged[number]:
            raise NoDeviceError("No devices found")
        api = bus.api()
        api.enumerate_devices = lambda: [number]
        return Mvnc(graph, "MVNC", api=api)

    return open_


def test_v2_gives_channels_last_and_keeps_two_under_way(graph, pictures):
    bus = Bus(1, answer)
    with Mvnc(graph, api=bus.api()) as stick:
        np.testing.assert_array_equal(stick.run(pictures[:10]), expected(pictures[:10]))
        assert len(stick.layer_times()) == 4
    assert bus.most_queued == [2]


def test_v1_speaks_half_precision(graph, pictures):
    bus = BusV1(answer)
    with Mvnc(graph, api=bus.api()) as stick:
        assert bus.open
        half = pictures[:5].astype(np.float16)
        np.testing.assert_allclose(stick.run(pictures[:5])[:, 2:], expected(half)[:, 2:], rtol=1e-3)
    assert not bus.open


def test_results_may_be_asked_for_out_of_order(graph, pictures):
    with Mvnc(graph, api=Bus(1, answer).api()) as stick:
        first, second = stick.submit(pictures[:1]), stick.submit(pictures[1:2])
        np.testing.assert_array_equal(second(), expected(pictures[1:2]))
        np.testing.assert_array_equal(first(), expected(pictures[:1]))


def test_no_stick_and_a_lost_stick(graph, pictures):
    bus = Bus(1, answer)
    with pytest.raises(NoDeviceError, match="under number 1: there are 1"):
        Mvnc(graph, "MVNC.1", api=bus.api())
    stick = Mvnc(graph, api=bus.api())
    bus.pull_out(0)
    with pytest.raises(DeviceLostError, match="-2") as fault:
        stick.run(pictures[:1])
    assert fault.value.exit_status == 4
    stick.close()  # quietly, though nothing is there to be closed
    with pytest.raises(NoDeviceError, match="^No devices found$"):
        Mvnc(graph, api=bus.api())


def test_a_thousand_pictures_over_three_sticks_one_pulled_out_twice(graph, pictures):
    bus = Bus(3, answer, delay=0.001)
    bus.plan = {(1, 50): "pull out", (1, 150): "pull out"}
    pulled = []

    def put_back():
        while len(pulled) < 2:
            if not bus.plugged[1]:
                pulled.append(bus.runs[1])
                time.sleep(0.05)
                bus.put_back(1)
            time.sleep(0.001)

    thread = threading.Thread(target=put_back, daemon=True)
    thread.start()
    with Scheduler([opener(bus, graph, number) for number in range(3)], retry=0.01) as sticks:
        results = list(sticks.run_many(pictures[i : i + 1] for i in range(1000)))
        answered, lost = list(sticks.answered), list(sticks.lost)
    thread.join(5)
    assert pulled == [50, 150] and lost == [0, 2, 0]
    np.testing.assert_array_equal(np.concatenate(results), expected(pictures))  # as a single stick's
    assert len(results) == 1000 and sum(answered) == 1000 and min(answered) > 100
    assert bus.most_queued == [2, 2, 2]


def test_the_last_stick_lost_is_an_error_that_counts(graph, pictures):
    bus = Bus(2, answer)
    bus.plan = {(0, 5): "pull out", (1, 5): "pull out"}
    sticks = Scheduler([opener(bus, graph, number) for number in range(2)], patience=0.1, retry=0.01)
    told = []
    with pytest.raises(NoDeviceError, match="every stick was lost.*pictures have no answer"):
        for result in sticks.run_many(pictures[i : i + 1] for i in range(100)):
            told.append(result)
    np.testing.assert_array_equal(np.concatenate(told), expected(pictures[: len(told)]))


def test_batches_are_taken_as_needed_and_a_run_may_be_left(graph, pictures):
    bus = Bus(2, answer)
    taken = []

    def source():
        for i in range(1000):
            taken.append(i)
            yield pictures[i : i + 1]

    before = threading.active_count()
    with Scheduler([opener(bus, graph, number) for number in range(2)]) as sticks:
        run = sticks.run_many(source())
        for _ in range(3):
            next(run)
        run.close()
    assert len(taken) < 40
    assert threading.active_count() == before


def test_a_fault_of_the_picture_ends_the_run(graph):
    def broken(picture):
        raise AssertionError

    class Wrong(Mvnc):
        def _start(self, batch):
            raise NcsError("the model takes other pictures")

    bus = Bus(1, broken)
    with (
        Scheduler([lambda: Wrong(graph, api=bus.api())]) as sticks,
        pytest.raises(NcsError, match="takes other pictures"),
    ):
        sticks.run(np.zeros((3, 3, 4, 4), np.float32))


def test_no_sticks_at_all(graph):
    bus = Bus(2, answer)
    bus.plugged = [False, False]
    with pytest.raises(NoDeviceError, match="none of 2 sticks answers"):
        Scheduler([opener(bus, graph, number) for number in range(2)])
