"""BatchPrefetcher: records of every batch, exact resumption, shutdown and errors."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from caffe.data import datum
from caffe.data.db import create_db, open_db
from caffe.data.mean import read_mean
from caffe.data.prefetcher import BatchPrefetcher
from caffe.device.transform import Transform
from caffe.errors import CaffeError

GOLDEN = Path(__file__).parents[2] / "golden"
RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 256, (7, 3, 6, 5), dtype=np.uint8)


def write_database(path, values):
    with create_db(path) as writer:
        for index, value in enumerate(values):
            writer.put(b"%08d_p" % index, value)
    return open_db(path)


@pytest.fixture
def db(tmp_path):
    values = [datum.encode(planes, 10 + index) for index, planes in enumerate(PLANES)]
    with write_database(tmp_path / "db", values) as database:
        yield database


def take(prefetcher, count):
    return [(data.copy(), label.copy()) for data, label in (prefetcher.next() for _ in range(count))]


@pytest.mark.parametrize(
    "name, mean, crop, scale",
    [
        ("mean_file", None, 7, 0.017),
        ("mean_value", [104.3, 117.1, 123.9], 6, 0.00390625),
        ("one_value", [99.7], 5, 1),
    ],
)
def test_batches_are_bit_identical_to_caffes_data_layer(name, mean, crop, scale):
    mean = read_mean(GOLDEN / "tools/mean_resize.binaryproto") if mean is None else mean
    golden = np.load(GOLDEN / "data_layer.npz")
    transform = Transform(mean=mean, crop=crop, scale=scale)
    with open_db(GOLDEN / "tools/lmdb/db_resize") as database, BatchPrefetcher(database, 7, transform) as prefetcher:
        expected = zip(golden[name], golden[name + "_label"])
        for (data, label), (expected_data, expected_label) in zip(take(prefetcher, 4), expected):
            assert np.array_equal(data, expected_data) and np.array_equal(label, expected_label)


@pytest.mark.parametrize("skip", [0, 5, 23])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 10])
def test_batches_follow_the_keys_and_wrap_around(db, batch_size, skip):
    mean = RNG.uniform(0, 255, (3, 6, 5)).astype(np.float32)
    with BatchPrefetcher(db, batch_size, Transform(mean=mean), skip=skip) as prefetcher:
        assert prefetcher.shape == (batch_size, 3, 6, 5)
        for number, (data, label) in enumerate(take(prefetcher, 5)):
            indices = [(skip + number * batch_size + index) % 7 for index in range(batch_size)]
            assert label.tolist() == [10 + index for index in indices] and label.dtype == np.float32
            assert data.dtype == np.float32 and np.array_equal(data, PLANES[indices].astype(np.float32) - mean)


def test_resuming_at_any_position_is_bit_identical(db):
    settings = dict(transform=Transform(crop=4, mirror=True), phase="TRAIN", seed=3)
    with BatchPrefetcher(db, 4, **settings) as prefetcher:
        uninterrupted = take(prefetcher, 9)
        assert prefetcher.position == 9
    for stop in (1, 4, 8):
        with BatchPrefetcher(db, 4, **settings) as first:
            take(first, stop)  # prefetched batches that were not requested do not count
        with BatchPrefetcher(db, 4, **settings, position=first.position, prefetch=1) as second:
            resumed = take(second, 9 - stop)
        for (data, label), (data2, label2) in zip(uninterrupted[stop:], resumed):
            assert np.array_equal(data, data2) and np.array_equal(label, label2)


def test_seeds_differ_and_batches_differ(db):
    def batches(seed):
        with BatchPrefetcher(db, 7, Transform(crop=3, mirror=True), "TRAIN", seed=seed) as prefetcher:
            return take(prefetcher, 2)

    (first, _), (second, _) = batches(1)
    (other_seed, _), _ = batches(-1)
    assert not np.array_equal(first, second) and not np.array_equal(first, other_seed)


def test_memory_is_reused_unless_it_is_kept(db):
    with BatchPrefetcher(db, 2, Transform(), prefetch=1) as prefetcher:
        kept = prefetcher.next().data
        prefetcher.keep()
        expected = kept.copy()
        addresses = set()
        for _ in range(12):
            data = prefetcher.next().data
            assert not np.shares_memory(data, kept)
            addresses.add(data.ctypes.data)
        assert len(addresses) <= 3 and np.array_equal(kept, expected)


def test_invalid_record_raises_when_its_batch_is_requested(tmp_path):
    values = [datum.encode(planes, 0) for planes in PLANES]
    values[5] = values[5][:40]
    with write_database(tmp_path / "db", values) as database, BatchPrefetcher(database, 2, Transform()) as prefetcher:
        take(prefetcher, 2)
        for _ in range(2):  # every further request raises too
            with pytest.raises(CaffeError, match="db', record '00000005_p': not a Datum"):
                prefetcher.next()
        assert prefetcher.position == 2


def test_mismatched_sizes_and_means_raise_before_training(tmp_path, db):
    with pytest.raises(CaffeError, match="crop 9 is larger"):
        BatchPrefetcher(db, 2, Transform(crop=9)).shape  # noqa: B018
    with pytest.raises(CaffeError, match="mean has 1 channels"):
        BatchPrefetcher(db, 2, Transform(mean=np.zeros((1, 6, 5)))).shape  # noqa: B018
    two_sizes = [datum.encode(PLANES[0], 0), datum.encode(PLANES[0][:, :4], 0)]
    with write_database(tmp_path / "two", two_sizes) as database:
        with BatchPrefetcher(database, 2, Transform()) as prefetcher, pytest.raises(CaffeError, match="one batch"):
            prefetcher.next()
        with BatchPrefetcher(database, 2, Transform(crop=4)) as prefetcher:
            assert prefetcher.next().data.shape == (2, 3, 4, 4)


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_close_stops_the_thread(db, batches):
    others = set(threading.enumerate())  # threads of nets that are not yet garbage-collected
    prefetcher = BatchPrefetcher(db, 3, Transform(), prefetch=2)
    take(prefetcher, batches)
    assert bool(batches) == any(thread.name == "prefetch" for thread in set(threading.enumerate()) - others)
    prefetcher.close()
    prefetcher.close()
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name == "prefetch"]
    with pytest.raises(CaffeError, match="closed"):
        prefetcher.next()


@pytest.mark.parametrize("invalid", [{"batch_size": 0}, {"prefetch": 0}, {"position": -1}, {"skip": -1}])
def test_invalid_arguments(db, invalid):
    with pytest.raises(CaffeError, match="at least"):
        BatchPrefetcher(db, transform=Transform(), **{"batch_size": 1, **invalid})


def test_encoded_records_with_force_color(tmp_path):
    import cv2

    grey = cv2.imencode(".png", PLANES[0, 0])[1].tobytes()
    with write_database(tmp_path / "db", [datum.encode(None, 1, grey)]) as database:
        assert BatchPrefetcher(database, 1, Transform()).shape == (1, 1, 6, 5)
        with BatchPrefetcher(database, 1, Transform(), force_color=True) as prefetcher:
            assert np.array_equal(prefetcher.next().data[0], np.stack([PLANES[0, 0]] * 3))


def run_python(program, *args, timeout=60):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, args)], capture_output=True, text=True, timeout=timeout
    )


NETS = """
import gc, os, sys, threading, weakref
import caffe
from caffe.proto import caffe_pb2, text
param = caffe_pb2.NetParameter()
text.parse('layer { name: "d" type: "Data" top: "x" top: "y" data_param { source: "%s" batch_size: 2 backend: LMDB } }' % sys.argv[1], param)
"""


def test_garbage_collection_in_the_worker_thread(db, tmp_path):
    program = (
        NETS
        + """
gc.set_threshold(30)  # collect often
nets = []
for number in range(80):
    net = caffe.Net.from_param(param, caffe.TEST)
    net.forward()
    nets.append(weakref.ref(net))
    del net
gc.collect()
class Cycle: pass
cycle = Cycle(); cycle.itself = cycle; reference = weakref.ref(cycle); del cycle
gc.collect()
import time
for _ in range(200):
    if threading.active_count() == 1: break
    time.sleep(0.05)
print(sum(net() is not None for net in nets), reference() is None, threading.active_count())
"""
    )
    process = run_python(program, tmp_path / "db")
    assert process.stdout == "0 True 1\n", process.stdout + process.stderr[-2000:]


def test_close_in_the_worker_thread_does_not_deadlock(db):
    prefetcher = BatchPrefetcher(db, 2, Transform())
    closed = threading.Event()

    class Closing(type(db)):
        def at(self, index):
            prefetcher.close()
            closed.set()
            return super().at(index)

    db.__class__ = Closing
    prefetcher._start()
    assert closed.wait(20)


def test_a_forked_process_continues_with_the_next_batch(db, tmp_path):
    program = (
        NETS
        + """
os.environ["OMP_NUM_THREADS"] = "1"
net = caffe.Net.from_param(param, caffe.TEST)
first = net.forward()["y"].tolist()
child = os.fork()
second = net.forward()["y"].tolist()
if not child:
    print(first, second, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(first, second, flush=True)
"""
    )
    process = run_python(program, tmp_path / "db")
    assert process.stdout == "[10.0, 11.0] [12.0, 13.0]\n" * 2, process.stderr[-2000:]


def test_a_process_exits_while_a_worker_runs(db, tmp_path):
    process = run_python(NETS + "net = caffe.Net.from_param(param, caffe.TEST); net.forward()", tmp_path / "db")
    assert process.returncode == 0


def test_shared_test_batches_are_those_of_one_reader(tmp_path):
    """Of tests with 5 batches, three readers read every third; after each test all continue at the next one."""
    values = [datum.encode(PLANES[0], label) for label in range(23)]
    with write_database(tmp_path / "db", values) as db:
        with BatchPrefetcher(db, 4, Transform()) as one:
            expected = [one.next()[1].copy() for _ in range(10)]
        for rank in range(3):
            with BatchPrefetcher(db, 4, Transform()) as reader:
                reader.share_batches(rank, 3, 5)
                for test in range(2):
                    assert reader.round_start == 5 * test
                    for number in range(rank, 5, 3):
                        assert np.array_equal(reader.next()[1], expected[5 * test + number])
