"""Two processes train as one with the joint batch, agree on everything, and resume; one start runs all scenarios."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import box_records, small_ssd
from support import distributed_scenarios as scenarios
from support.small_solvers import database, dropout_net, solver_text

SCRIPT = scenarios.__file__
DROP = 'layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }'


def _nets(folder):
    """Yield (name, net prototxt, fields of the solver)."""
    plain = dropout_net(folder / "db", 10).replace(DROP, "").replace('type: "xavier"', 'type: "gaussian" std: 0.05')
    half = plain.replace("batch_size: 10", "batch_size: 5")
    two_passes = half.replace("batch_size: 5", "batch_size: 2", 1)
    norm = half.replace(
        'layer { name: "relu"',
        'layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" } layer { name: "relu"',
    )
    shared = half.replace(
        'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }',
        """layer { name: "conv_b" type: "Convolution" bottom: "conv" top: "conv_b" param { name: "w" } param { name: "b" }
             convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
           layer { name: "conv_c" type: "Convolution" bottom: "conv_b" top: "conv" param { name: "w" } param { name: "b" }
             convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
           layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }""",
    ).replace('bottom: "conv_b" top: "conv" param', 'bottom: "conv_b" top: "conv2" param')
    shared = shared.replace('type: "ReLU" bottom: "conv" top: "conv"', 'type: "ReLU" bottom: "conv2" top: "conv2"')
    shared = shared.replace('type: "Pooling" bottom: "conv"', 'type: "Pooling" bottom: "conv2"')
    data = f"""layer {{ name: "data" type: "Data" top: "data" top: "label"
      data_param {{ source: "{folder}/numbers" backend: LMDB batch_size: 3 SHUFFLE }} }}
      layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 1 }} }}
      layer {{ name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "label" }}"""
    yield "one", plain, {}
    yield "two", half, {}
    yield "odd", plain.replace("batch_size: 10", "batch_size: 9", 1), {}
    yield "passes", two_passes, {"iter_size": 2}
    yield "two_passes", two_passes.replace("batch_size: 2", "batch_size: 4", 1), {"iter_size": 2}
    yield "unseeded", half, {"random_seed": -1}
    yield "dropout", dropout_net(folder / "db", 5), {}
    yield "norm", norm, {}
    yield "shared_weights", shared, {}
    yield "stream", data.replace("SHUFFLE", ""), {"test_iter": None}
    yield "shuffled", data.replace("SHUFFLE", "shuffle: true"), {"test_iter": None}


def _write(folder):
    from caffe.data import datum
    from caffe.data.db import create_db

    database(folder / "db", 53)
    with create_db(str(folder / "numbers"), "lmdb") as writer:  # record i has label i
        for i in range(10):
            writer.put(b"%08d" % i, datum.encode(np.full((1, 2, 2), i, np.uint8), i))
    for name, net, fields in _nets(folder):
        (folder / f"{name}.net").write_text(net)
        text = solver_text(folder, test="test_iter" not in fields, max_iter=6).replace("max_iter: 100 ", "")
        text = text.replace("base_lr: 0.05", "base_lr: 0.01").replace("display: 1 ", "display: 0 ")
        text = text.replace("/net.prototxt", f"/{name}.net").replace(f'{folder}/s"', f'{folder}/{name}"')
        if "random_seed" in fields:
            text = text.replace("random_seed: 7", "random_seed: -1")
        extra = " ".join(f"{key}: {value}" for key, value in fields.items() if key == "iter_size")
        (folder / f"{name}.prototxt").write_text(f"{text} test_initialization: false {extra}")


def _write_ssd(folder):
    """A small SSD for detection tests of 5 batches; `ssd_sizes` compares boxes in pixels of images of different sizes."""
    box_records.write(folder / "boxes", 43, seed=3)
    (folder / "sizes.txt").write_text("".join(f"{i} {3 + i % 5} {4 + i % 3}\n" for i in range(43)))
    for name, field in (("ssd", ""), ("ssd_sizes", f'name_size_file: "{folder}/sizes.txt"')):
        text = small_ssd.train_val(folder / "boxes", folder / "boxes").replace("batch_size: 10", "batch_size: 4")
        text = text.replace("overlap_threshold: 0.5", f"overlap_threshold: 0.3 {field}")
        text = text.replace("nms_threshold: 0.45", "nms_threshold: 0.2")
        (folder / f"{name}.net").write_text(text)
        (folder / f"{name}.prototxt").write_text(
            f'net: "{folder}/{name}.net" base_lr: 0.001 lr_policy: "fixed" random_seed: 4 test_iter: 5 '
            'test_interval: 1000 test_initialization: false eval_type: "detection" max_iter: 6'
        )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder with the files of all scenarios of two processes."""
    folder = tmp_path_factory.mktemp("distributed")
    _write(folder)
    _write_ssd(folder)
    alone = scenarios.make(folder, "one")
    alone.step(2)
    alone.param.snapshot_prefix = str(folder / "alone")
    alone.snapshot()
    code = f"import sys; from caffe.core import local_processes as p; sys.exit(p.run([{SCRIPT!r}, {str(folder)!r}], 2))"
    path = os.pathsep.join([*sys.path, str(Path(SCRIPT).parents[1])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return folder


def _read(folder, name):
    return [dict(np.load(folder / f"{name}.{rank}.npz")) for rank in (0, 1)]


def _difference(one, other, prefix=""):
    keys = [key for key in one if key.startswith(prefix) and one[key].ndim and key != "label"]
    assert keys
    return max(float(np.abs(one[key] - other[key]).max()) for key in keys)


@pytest.mark.parametrize("name", ["two", "shared", "passes", "unseeded", "undisturbed", "statistics"])
def test_ranks_end_with_equal_weights(results, name):
    ranks = _read(results, name)
    if name == "statistics":
        assert np.array_equal(ranks[0]["in_test"], ranks[1]["in_test"])
        return
    assert _difference(*ranks, prefix="last_" if name not in ("undisturbed",) else "") == 0


@pytest.mark.parametrize("name", ["two", "shared"])
def test_two_processes_equal_one_with_the_joint_batch(results, name):
    one = scenarios.steps(results, "one", 10)
    one = {key: np.asarray(value) for key, value in one.items()}
    two = _read(results, name)[0]
    assert _difference(one, two, "first_") <= 1e-8
    assert _difference(one, two, "last_") <= 1e-5
    assert abs(float(one["loss"]) - float(two["loss"])) < 1e-5


def test_joint_batches_are_dealt_record_by_record(results):
    one = scenarios.steps(results, "one", 10)["label"]
    for rank, part in enumerate(_read(results, "two")):
        assert np.array_equal(part["label"], one[rank::2])


def test_diffs_of_all_iter_size_passes_are_summed(results):
    one = {key: np.asarray(value) for key, value in scenarios.steps(results, "two_passes", 3).items()}
    assert _difference(one, _read(results, "passes")[0], "first_") <= 1e-8


def test_a_repeated_run_is_bit_equal(results):
    assert _difference(_read(results, "two")[0], _read(results, "again")[0], "last_") == 0


@pytest.mark.parametrize("name", ["stream", "shuffled"])
def test_stream_order_equals_a_plain_loop(results, name):
    """Record i of the stream goes to process i mod 2 (data_layer.cpp, Skip)."""
    order = list(range(10)) * 3
    if name == "shuffled":
        from caffe.data.sampler import shuffled

        solver = scenarios.make(results, name)
        seed = solver.net.nodes[0].layer.prefetcher.seed
        order = [int(i) for epoch in range(3) for i in shuffled(10, seed, epoch)]
    expected = [[], []]
    for i, record in enumerate(order[: 2 * 3 * 4]):
        expected[i % 2].append(record)
    for rank, part in enumerate(_read(results, name)):
        assert part["labels"].ravel().tolist() == expected[rank]


def test_tests_share_batches_and_equal_those_of_one_process(results):
    """5 batches on 2 processes; the second test must continue at the sixth batch."""
    parts = _read(results, "tests")
    two, other = parts
    solver = scenarios.make(results, "two")
    first = solver.test(0)
    assert {f"0_{key}" for key in first} <= set(two)
    for key, value in first.items():
        assert np.array_equal(two[f"0_{key}"], value), key
        assert np.array_equal(two[f"0_{key}"], other[f"0_{key}"]), key
    position = solver.test_nets[0].nodes[0].layer.state()["position"]
    assert position == 5
    one = scenarios.make(results, "one")
    one.step(1)  # equal weights up to rounding
    solver.net.share_with(one.net)
    for key, value in solver.test(0).items():
        assert np.allclose(two[f"1_{key}"], value, atol=1e-5), key


def test_outputs_of_different_length_arrive_in_order(results):
    expected = scenarios.detections(results, "two")
    assert len(set(expected["lengths"].tolist())) > 1
    for part in _read(results, "detections"):
        assert np.array_equal(part["lengths"], expected["lengths"])
        assert np.array_equal(part["values"], expected["values"])


@pytest.mark.parametrize("name", ["ssd", "ssd_sizes"])
def test_detections_equal_those_of_one_process(results, name):
    """Batches have different numbers of detections, and the order of the images decides which size each has."""
    expected = scenarios.ssd(results, name)
    assert len(set(expected["lengths"].tolist())) > 1 and len(expected["lengths"]) == 10
    assert {0.0, 1.0} <= set(expected["rows"][:, 3]) and (expected["precisions"] > 0).all()
    for part in _read(results, name):
        assert np.array_equal(part["lengths"], expected["lengths"])
        np.testing.assert_allclose(part["rows"], expected["rows"], atol=1e-5)
        np.testing.assert_allclose(part["precisions"], expected["precisions"], atol=1e-5)


def test_resumed_run_is_bit_equal_with_dropout(results):
    for expected, actual in zip(_read(results, "undisturbed"), _read(results, "resumed")):
        assert _difference(expected, actual) == 0
        assert np.array_equal(expected["label"], actual["label"]) and actual["iter"] == 5


def test_one_process_continues_a_run_of_two_at_the_same_record(results):
    """After 2 iterations of 2 x 5 records, 1 process has seen 20 records and reads 20 .. 24, then 25 .. 29."""
    solver = scenarios.make(results, "dropout")
    solver.restore(str(results / "dropout_iter_2.solverstate"))
    reference = scenarios.make(results, "dropout")
    for _ in range(4):
        reference.net.forward()
    solver.step(1)
    reference.net.forward()
    assert np.array_equal(solver.net.blobs["label"].data, reference.net.blobs["label"].data)


def test_two_processes_continue_a_run_of_one(results):
    one = scenarios.make(results, "one")
    one.restore(str(results / "alone_iter_2.solverstate"))
    one.step(3)
    expected, label = scenarios.weights(one), one.net.blobs["label"].data
    for rank, part in enumerate(_read(results, "from_one")):
        assert _difference(expected, part) < 1e-6
        assert np.array_equal(part["label"], label[rank::2])


def test_a_loss_that_is_not_a_number_ends_all_in_one_iteration(results):
    for part in _read(results, "not_a_number"):
        assert part["iter"] == 2 and "diverged: the loss is nan at iteration 2" in str(part["message"])


def test_an_error_of_one_process_ends_all_with_its_message(results):
    first, second = _read(results, "broken_layer")
    assert first["iter"] == second["iter"] == 2
    assert str(first["message"]).startswith("process 1 of 2 failed:")
    assert "record 7 is damaged" in str(first["message"]) and "record 7 is damaged" in str(second["message"])


def test_requests_to_one_process_reach_all_in_the_same_iteration(results):
    assert [int(part["iter"]) for part in _read(results, "stop")] == [3, 3]
    assert [part["snapshots"].tolist() for part in _read(results, "snapshot")] == [[3], [3]]


def test_buckets_sent_during_backward_change_nothing(results):
    """Shared weights get diffs from two layers; the graph passes stay on."""
    for part in _read(results, "overlap"):
        assert part["early_buckets"] > 2 and part["late_buckets"] == 1
        assert part["early_passes"] == part["late_passes"] > 0
        early = {key[6:]: value for key, value in part.items() if key.startswith("early_") and value.ndim}
        late = {key[5:]: value for key, value in part.items() if key.startswith("late_") and value.ndim}
        assert set(early) == set(late) and _difference(early, late) == 0


def test_statistics_are_averaged_for_tests_and_local_in_training(results):
    first, second = _read(results, "statistics")
    assert not np.array_equal(first["local"], second["local"])
    mean = (first["local"] + second["local"]) / 2
    for part in (first, second):
        assert np.array_equal(part["in_test"], mean)
        assert np.array_equal(part["after"], part["local"])


def test_a_shared_batch_must_be_divisible(results):
    assert _read(results, "divided")[0]["shape"].tolist() == [5, 3, 10, 10]
    message = str(_read(results, "indivisible")[0]["message"])
    assert "2 processes cannot divide the batch_size 9 of layer 'data'; use 1, 3, 9 processes" in message
