"""Feed: the right records in every batch, exact resumption, clean ends, errors where they belong."""

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


def make(path, values):
    with create_db(path) as writer:
        for index, value in enumerate(values):
            writer.put(b"%08d_p" % index, value)
    return open_db(path)


@pytest.fixture
def db(tmp_path):
    values = [datum.encode(planes, 10 + index) for index, planes in enumerate(PLANES)]
    with make(tmp_path / "db", values) as opened:
        yield opened


def take(feed, count):
    return [(data.copy(), label.copy()) for data, label in (feed.next() for _ in range(count))]


@pytest.mark.parametrize(
    "name, mean, crop, scale",
    [
        ("mean_file", None, 7, 0.017),
        ("mean_value", [104.3, 117.1, 123.9], 6, 0.00390625),
        ("one_value", [99.7], 5, 1),
    ],
)
def test_real_caffes_data_layer_bit_for_bit(name, mean, crop, scale):
    mean = read_mean(GOLDEN / "tools/mean_resize.binaryproto") if mean is None else mean
    real = np.load(GOLDEN / "data_layer.npz")
    transform = Transform(mean=mean, crop=crop, scale=scale)
    with open_db(GOLDEN / "tools/lmdb/db_resize") as opened, BatchPrefetcher(opened, 7, transform) as feed:
        for (data, label), theirs, truth in zip(take(feed, 4), real[name], real[name + "_label"]):
            assert np.array_equal(data, theirs) and np.array_equal(label, truth)


@pytest.mark.parametrize("skip", [0, 5, 23])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 10])
def test_batches_follow_the_keys_and_wrap_around(db, batch_size, skip):
    mean = RNG.uniform(0, 255, (3, 6, 5)).astype(np.float32)
    with BatchPrefetcher(db, batch_size, Transform(mean=mean), skip=skip) as feed:
        assert feed.shape == (batch_size, 3, 6, 5)
        for number, (data, label) in enumerate(take(feed, 5)):
            where = [(skip + number * batch_size + index) % 7 for index in range(batch_size)]
            assert label.tolist() == [10 + index for index in where] and label.dtype == np.float32
            assert data.dtype == np.float32 and np.array_equal(data, PLANES[where].astype(np.float32) - mean)


def test_any_position_can_be_gone_on_from_bit_for_bit(db):
    settings = dict(transform=Transform(crop=4, mirror=True), phase="TRAIN", seed=3)
    with BatchPrefetcher(db, 4, **settings) as feed:
        whole = take(feed, 9)
        assert feed.position == 9
    for stop in (1, 4, 8):
        with BatchPrefetcher(db, 4, **settings) as first:
            take(first, stop)  # a prefetched batch that nobody took does not count
        with BatchPrefetcher(db, 4, **settings, position=first.position, prefetch=1) as second:
            rest = take(second, 9 - stop)
        for (data, label), (data2, label2) in zip(whole[stop:], rest):
            assert np.array_equal(data, data2) and np.array_equal(label, label2)


def test_seeds_differ_and_batches_differ(db):
    def views(seed):
        with BatchPrefetcher(db, 7, Transform(crop=3, mirror=True), "TRAIN", seed=seed) as feed:
            return take(feed, 2)

    (one, _), (two, _) = views(1)
    (other, _), _ = views(-1)
    assert not np.array_equal(one, two) and not np.array_equal(one, other)


def test_memory_is_used_again_unless_it_is_kept(db):
    with BatchPrefetcher(db, 2, Transform(), prefetch=1) as feed:
        kept = feed.next().data
        feed.keep()
        before = kept.copy()
        seen = set()
        for _ in range(12):
            data = feed.next().data
            assert not np.shares_memory(data, kept)
            seen.add(data.ctypes.data)
        assert len(seen) <= 3 and np.array_equal(kept, before)


def test_a_bad_record_is_named_where_its_batch_is_taken(tmp_path):
    values = [datum.encode(planes, 0) for planes in PLANES]
    values[5] = values[5][:40]
    with make(tmp_path / "db", values) as opened, BatchPrefetcher(opened, 2, Transform()) as feed:
        take(feed, 2)
        for _ in range(2):  # and again, for who asks again
            with pytest.raises(CaffeError, match="db', record '00000005_p': not a Datum"):
                feed.next()
        assert feed.position == 2


def test_sizes_and_means_that_do_not_fit_are_told_before_training(tmp_path, db):
    with pytest.raises(CaffeError, match="crop 9 is larger"):
        BatchPrefetcher(db, 2, Transform(crop=9)).shape  # noqa: B018
    with pytest.raises(CaffeError, match="mean has 1 channels"):
        BatchPrefetcher(db, 2, Transform(mean=np.zeros((1, 6, 5)))).shape  # noqa: B018
    two = [datum.encode(PLANES[0], 0), datum.encode(PLANES[0][:, :4], 0)]
    with make(tmp_path / "two", two) as opened:
        with BatchPrefetcher(opened, 2, Transform()) as feed, pytest.raises(CaffeError, match="one batch"):
            feed.next()
        with BatchPrefetcher(opened, 2, Transform(crop=4)) as feed:
            assert feed.next().data.shape == (2, 3, 4, 4)


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_closing_ends_the_thread_at_once_and_for_good(db, taken):
    others = set(threading.enumerate())  # of nets that nobody has collected yet
    feed = BatchPrefetcher(db, 3, Transform(), prefetch=2)
    take(feed, taken)
    assert bool(taken) == any(thread.name == "feed" for thread in set(threading.enumerate()) - others)
    feed.close()
    feed.close()
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name == "feed"]
    with pytest.raises(CaffeError, match="closed"):
        feed.next()


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"prefetch": 0}, {"position": -1}, {"skip": -1}])
def test_what_no_feed_can_do(db, wrong):
    with pytest.raises(CaffeError, match="at least"):
        BatchPrefetcher(db, transform=Transform(), **{"batch_size": 1, **wrong})


def test_encoded_records_forced_to_colour(tmp_path):
    import cv2

    grey = cv2.imencode(".png", PLANES[0, 0])[1].tobytes()
    with make(tmp_path / "db", [datum.encode(None, 1, grey)]) as opened:
        assert BatchPrefetcher(opened, 1, Transform()).shape == (1, 1, 6, 5)
        with BatchPrefetcher(opened, 1, Transform(), force_color=True) as feed:
            assert np.array_equal(feed.next().data[0], np.stack([PLANES[0, 0]] * 3))


def in_a_process(program, *args, timeout=60):
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


def test_the_collector_may_run_in_a_feeds_thread(db, tmp_path):
    program = (
        NETS
        + """
gc.set_threshold(30)  # so that it does
nets = []
for number in range(80):
    net = caffe.Net.from_param(param, caffe.TEST)
    net.forward()
    nets.append(weakref.ref(net))
    del net
gc.collect()
class Cycle: pass
cycle = Cycle(); cycle.itself = cycle; seen = weakref.ref(cycle); del cycle
gc.collect()
import time
for _ in range(200):
    if threading.active_count() == 1: break
    time.sleep(0.05)
print(sum(net() is not None for net in nets), seen() is None, threading.active_count())
"""
    )
    done = in_a_process(program, tmp_path / "db")
    assert done.stdout == "0 True 1\n", done.stdout + done.stderr[-2000:]


def test_close_in_the_feeds_own_thread_does_not_wait_for_itself(db):
    feed = BatchPrefetcher(db, 2, Transform())
    closed = threading.Event()

    class Closing(type(db)):
        def at(self, index):
            feed.close()
            closed.set()
            return super().at(index)

    db.__class__ = Closing
    feed._start()
    assert closed.wait(20)


def test_a_forked_process_goes_on_with_the_next_batch(db, tmp_path):
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
    done = in_a_process(program, tmp_path / "db")
    assert done.stdout == "[10.0, 11.0] [12.0, 13.0]\n" * 2, done.stderr[-2000:]


def test_a_process_ends_while_a_feed_is_at_work(db, tmp_path):
    done = in_a_process(NETS + "net = caffe.Net.from_param(param, caffe.TEST); net.forward()", tmp_path / "db")
    assert done.returncode == 0
