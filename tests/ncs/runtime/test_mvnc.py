"""The NCSDK runner on simulated sticks, and the scheduler on three of them with injected faults."""

import threading
import time

import numpy as np
import pytest
from support.fake_stick import Bus, BusV1

from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime.mvnc import Mvnc
from ncs.runtime.scheduler import Scheduler


def model(image):
    """Return four values that depend on the pixels, their order and the channel order."""
    weights = np.arange(image.size, dtype=np.float64).reshape(image.shape)
    return np.array([image.sum(), (image * weights).sum(), image[0, 1, 2], image.max()], np.float32)


def expected(images):
    return np.stack([model(p.transpose(1, 2, 0)) for p in images])


@pytest.fixture
def graph(tmp_path):
    (tmp_path / "age.graph").write_bytes(b"graph")
    return tmp_path / "age.graph"


@pytest.fixture
def images():
    """Integers, so that sums are exact in any order."""
    return np.random.default_rng(5).integers(-9, 10, (1000, 3, 4, 4)).astype(np.float32)


def opener(bus, graph, number):
    """Return a function that opens stick `number`."""

    def open_():
        if not bus.plugged[number]:
            raise NoDeviceError("No devices found")
        api = bus.api()
        api.enumerate_devices = lambda: [number]
        return Mvnc(graph, "MVNC", api=api)

    return open_


def test_v2_uses_channels_last_and_two_requests_in_flight(graph, images):
    bus = Bus(1, model)
    with Mvnc(graph, api=bus.api()) as stick:
        np.testing.assert_array_equal(stick.run(images[:10]), expected(images[:10]))
        assert len(stick.layer_times()) == 4
    assert bus.max_queued == [2]


def test_v1_uses_half_precision(graph, images):
    bus = BusV1(model)
    with Mvnc(graph, api=bus.api()) as stick:
        assert bus.open
        half = images[:5].astype(np.float16)
        np.testing.assert_allclose(stick.run(images[:5])[:, 2:], expected(half)[:, 2:], rtol=1e-3)
    assert not bus.open


def test_results_out_of_order(graph, images):
    with Mvnc(graph, api=Bus(1, model).api()) as stick:
        first, second = stick.submit(images[:1]), stick.submit(images[1:2])
        np.testing.assert_array_equal(second(), expected(images[1:2]))
        np.testing.assert_array_equal(first(), expected(images[:1]))


def test_missing_and_lost_stick(graph, images):
    bus = Bus(1, model)
    with pytest.raises(NoDeviceError, match="with number 1: 1 are plugged in"):
        Mvnc(graph, "MVNC.1", api=bus.api())
    stick = Mvnc(graph, api=bus.api())
    bus.pull_out(0)
    with pytest.raises(DeviceLostError, match="-2") as fault:
        stick.run(images[:1])
    assert fault.value.exit_status == 4
    stick.close()  # no error, although the stick is lost
    with pytest.raises(NoDeviceError, match="^No devices found$"):
        Mvnc(graph, api=bus.api())


def test_three_sticks_with_one_unplugged_twice(graph, images):
    bus = Bus(3, model, delay=0.001)
    bus.plan = {(1, 50): "pull out", (1, 150): "pull out"}
    unplugged_after = []

    def reconnect():
        while len(unplugged_after) < 2:
            if not bus.plugged[1]:
                unplugged_after.append(bus.runs[1])
                time.sleep(0.05)
                bus.put_back(1)
            time.sleep(0.001)

    thread = threading.Thread(target=reconnect, daemon=True)
    thread.start()
    with Scheduler([opener(bus, graph, number) for number in range(3)], retry=0.01) as sticks:
        results = list(sticks.run_many(images[i : i + 1] for i in range(1000)))
        completed, lost = list(sticks.completed), list(sticks.lost)
    thread.join(5)
    assert unplugged_after == [50, 150] and lost == [0, 2, 0]
    np.testing.assert_array_equal(np.concatenate(results), expected(images))  # as with a single stick
    assert len(results) == 1000 and sum(completed) == 1000 and min(completed) > 100
    assert bus.max_queued == [2, 2, 2]


def test_losing_all_sticks_is_an_error(graph, images):
    bus = Bus(2, model)
    bus.plan = {(0, 5): "pull out", (1, 5): "pull out"}
    sticks = Scheduler([opener(bus, graph, number) for number in range(2)], patience=0.1, retry=0.01)
    results = []
    with pytest.raises(NoDeviceError, match="all sticks were lost.*batches have no result"):
        for result in sticks.run_many(images[i : i + 1] for i in range(100)):
            results.append(result)
    np.testing.assert_array_equal(np.concatenate(results), expected(images[: len(results)]))


def test_batches_are_consumed_lazily_and_a_run_can_be_stopped(graph, images):
    bus = Bus(2, model)
    consumed = []

    def source():
        for i in range(1000):
            consumed.append(i)
            yield images[i : i + 1]

    before = threading.active_count()
    with Scheduler([opener(bus, graph, number) for number in range(2)]) as sticks:
        run = sticks.run_many(source())
        for _ in range(3):
            next(run)
        run.close()
    assert len(consumed) < 40
    assert threading.active_count() == before


def test_error_of_a_batch_is_raised(graph):
    def broken(image):
        raise AssertionError

    class Wrong(Mvnc):
        def _start(self, batch):
            raise NcsError("unexpected image size")

    bus = Bus(1, broken)
    with (
        Scheduler([lambda: Wrong(graph, api=bus.api())]) as sticks,
        pytest.raises(NcsError, match="unexpected image size"),
    ):
        sticks.run(np.zeros((3, 3, 4, 4), np.float32))


def test_no_sticks(graph):
    bus = Bus(2, model)
    bus.plugged = [False, False]
    with pytest.raises(NoDeviceError, match="none of 2 sticks responds"):
        Scheduler([opener(bus, graph, number) for number in range(2)])
