"""pycaffe's solvers: interface, nets by phase, level and stage, snapshots, fine-tuning, log lines."""

import re

import numpy as np
import pytest

import caffe
from caffe import tools
from caffe.errors import CaffeError

NET = """name: "small"
layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "constant" value: 0.5 } data_filler { type: "constant" value: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" param { name: "w" } inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
layer { name: "deep" type: "AbsVal" bottom: "ip" top: "deep" include { min_level: 2 } }
layer { name: "extra" type: "AbsVal" bottom: "ip" top: "extra" include { stage: "more" } }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.05 lr_policy: "fixed" max_iter: 6 snapshot_prefix: "out/s" random_seed: 3
%s"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.prototxt").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(more=""):
    with open("solver.prototxt", "w", encoding="utf-8") as stream:
        stream.write(SOLVER % more)
    return "solver.prototxt"


SOLVER_CLASSES = ["SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver", "AdamSolver"]


@pytest.mark.parametrize("solver_class", SOLVER_CLASSES)
def test_all_solvers_have_pycaffes_interface(solver_class):
    momentum = "delta: 1e-6" if solver_class in ("AdaGradSolver", "RMSPropSolver") else "momentum: 0.9 delta: 1e-6"
    solver = getattr(caffe, solver_class)(write(momentum + " rms_decay: 0.9 momentum2: 0.99"))
    calls = []
    solver.add_callback(lambda: calls.append("start"), lambda: calls.append("ready"))
    before = solver.net.params["ip"][0].data.copy()
    solver.step(2)
    assert solver.iter == 2 and solver.lr == pytest.approx(0.05) and calls == ["start", "ready"] * 2
    assert not np.array_equal(before, solver.net.params["ip"][0].data)
    solver.snapshot()
    other = getattr(caffe, solver_class)("solver.prototxt")
    other.restore("out/s_iter_2.solverstate")
    solver.step(2)
    other.step(2)
    assert other.iter == 4
    for blob, restored in zip(solver.net.params["ip"], other.net.params["ip"]):
        assert np.array_equal(blob.data, restored.data)
    resumed = caffe.get_solver(write(momentum + f' rms_decay: 0.9 momentum2: 0.99 type: "{solver_class[:-6]}"'))
    resumed.solve("out/s_iter_2.solverstate")
    assert resumed.iter == 6


def test_solverstate_of_another_solver_type_raises():
    first = caffe.SGDSolver(write())
    first.step(1)
    first.snapshot()
    with pytest.raises(CaffeError, match="holds 2 history blobs, this Adam solver has 4"):
        caffe.AdamSolver("solver.prototxt").restore("out/s_iter_1.solverstate")


def test_hdf5_snapshots_restore():
    solver = caffe.SGDSolver(write("snapshot_format: HDF5 momentum: 0.9"))
    solver.step(3)
    solver.snapshot()
    other = caffe.SGDSolver("solver.prototxt")
    other.restore("out/s_iter_3.solverstate.h5")
    assert other.iter == 3
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, other.net.params["ip"][0].data)


def test_level_and_stage_select_layers():
    assert "deep" not in caffe.SGDSolver(write()).net.blobs
    assert "deep" in caffe.SGDSolver(write("train_state { level: 2 }")).net.blobs
    assert "extra" in caffe.SGDSolver(write('train_state { stage: "more" }')).net.blobs


def test_several_test_nets_by_stage_and_file(capfd):
    more = 'test_net: "net.prototxt" test_net: "net.prototxt" test_iter: 1 test_iter: 2 test_iter: 1 test_interval: 4 '
    more += 'test_state { stage: "more" } test_state { } test_state { level: 3 } test_initialization: false'
    solver = caffe.SGDSolver(write(more))
    assert [sorted(set(net.blobs) & {"deep", "extra"}) for net in solver.test_nets] == [["extra"], [], ["deep"]]
    solver.step(5)
    log = capfd.readouterr().err
    assert "Iteration 0, Testing" not in log
    assert [int(n) for n in re.findall(r"Iteration 4, Testing net \(#(\d)\)", log)] == [0, 1, 2]


def test_separate_train_and_test_nets(folder):
    (folder / "solver.prototxt").write_text(
        SOLVER.replace("net:", "train_net:") % 'test_net: "net.prototxt" test_iter: 1 test_interval: 2'
    )
    assert len(caffe.SGDSolver("solver.prototxt").test_nets) == 1
    with pytest.raises(CaffeError, match="one test_iter per test net \\(1\\), received 2"):
        (folder / "solver.prototxt").write_text((folder / "solver.prototxt").read_text() + " test_iter: 3")
        caffe.SGDSolver("solver.prototxt")


def test_weights_field_initializes_fine_tuning():
    first = caffe.SGDSolver(write())
    first.net.params["ip"][0].data[...] = 7
    first.net.save("start.caffemodel")
    tuned = caffe.SGDSolver(write('weights: "start.caffemodel" layer_wise_reduce: false'))
    assert (tuned.net.params["ip"][0].data == 7).all() and tuned.iter == 0


def lines(text, direction):
    return re.findall(rf"\]     \[{direction}\] (.*)", text)


def test_debug_info_logs_mean_magnitudes(capfd):
    solver = caffe.SGDSolver(write("debug_info: true display: 2"))
    w, b = solver.net.params["ip"]
    mean = np.abs(w.data).mean()
    top = np.abs(0.5 * w.data.sum(1) + b.data).mean()
    solver.step(1)
    log = capfd.readouterr().err
    forward = dict(line.rsplit(": ", 1) for line in lines(log, "Forward"))
    assert float(forward["Layer ip, param blob w data"]) == pytest.approx(mean, rel=1e-5)
    assert float(forward["Layer ip, param blob 1 data"]) == 0
    assert float(forward["Layer ip, top blob ip data"]) == pytest.approx(top, rel=1e-5)
    assert float(forward["Layer x, top blob t data"]) == 2
    backward = lines(log, "Backward")
    names = [line.rsplit(": ", 1)[0] for line in backward[:-1]]
    assert names == ["Layer loss, bottom blob ip diff", "Layer ip, param blob 0 diff", "Layer ip, param blob 1 diff"]
    l1 = np.abs(w.diff).sum() + np.abs(b.diff).sum()  # the diffs now hold the update: rate times logged diff
    logged = float(re.search(r"L1 norm = \([-.e\d]+, ([-.e\d]+)\)", backward[-1]).group(1))
    assert logged * 0.05 == pytest.approx(l1, rel=1e-4)
    solver.step(1)
    assert not lines(capfd.readouterr().err, "Forward"), "iteration 1 is not displayed"
    solver.step(1)
    assert len(lines(capfd.readouterr().err, "Forward")) == len(forward)


def test_debug_info_does_not_change_results():
    plain, logged = caffe.SGDSolver(write()), caffe.SGDSolver(write("debug_info: true display: 1"))
    plain.step(4)
    logged.step(4)
    np.testing.assert_allclose(plain.net.params["ip"][0].data, logged.net.params["ip"][0].data, rtol=1e-6)


@pytest.mark.parametrize(
    "flags", [["-solver", "solver.prototxt"], ["--solver=solver.prototxt"], ["-solver=solver.prototxt"]]
)
def test_caffe_train_accepts_all_gflags_spellings(flags, folder):
    write("display: 2")
    assert tools.main(["train", *flags]) == 0
    assert (folder / "out" / "s_iter_6.caffemodel").is_file() and (folder / "out" / "s_iter_6.solverstate").is_file()


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            ["--snapshot", "out/s_iter_6.caffemodel"],
            "holds weights only.*--snapshot out/s_iter_6.solverstate.*--weights",
        ),
        (["--snapshot=a", "--weights=b"], "not both"),
        (["--gpu", "first"], "comma-separated list of ids, or all"),
        (["--weights", "none.caffemodel"], "none.caffemodel"),
    ],
)
def test_caffe_train_reports_wrong_flags(flags, message, capsys):
    write()
    assert tools.main(["train", "--solver", "solver.prototxt", *flags]) == 1
    assert re.search("(?s)" + message, capsys.readouterr().err)


def test_run_log_is_readable_by_parse_log_and_plot_training_log(folder):
    write("display: 2 test_iter: 1 test_interval: 3")
    assert tools.main(["train", "--solver=solver.prototxt"]) == 0
    assert tools.main(["parse_log", "out/s.log", "."]) == 0
    rows = (folder / "s.log.train").read_text().splitlines()
    assert rows[0] == "NumIters,Seconds,LearningRate,loss" and [row.split(",")[0] for row in rows[1:4]] == [
        "0.0",
        "2.0",
        "4.0",
    ]
    assert [row.split(",")[0] for row in (folder / "s.log.test").read_text().splitlines()[1:]] == ["0.0", "3.0", "6.0"]
    assert tools.main(["plot_training_log", "6", "loss.png", "out/s.log"]) == 0
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
