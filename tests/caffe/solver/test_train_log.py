"""Training logs: a log of real Caffe, an old one without years, and files that are not logs."""

from pathlib import Path

import pytest

from caffe.errors import CaffeError
from caffe.solver import train_log

REAL = Path(__file__).parents[2] / "golden" / "logs" / "kendryte_caffe.log"

OLD = """\
Log file created at: 2014/12/31 23:59:00
I1231 23:59:10.500000  1 solver.cpp:171] Solving CaffeNet
I1231 23:59:11.500000  1 solver.cpp:232] Iteration 0, Testing net (#0)
I1231 23:59:50.000000  1 solver.cpp:270] Test score without a number of its own: top-5 = 0.5
I1231 23:59:51.500000  1 solver.cpp:270]     Test net output #0: accuracy = 0.001
I1231 23:59:52.500000  1 solver.cpp:189] Iteration 0, loss = 7.1
I1231 23:59:52.500000  1 solver.cpp:204]     Train net output #0: loss1 = 7.1 (* 0.3 = 2.13 loss)
I1231 23:59:52.500000  1 solver.cpp:204]     Train net output #1: loss2 = 1e-05
I1231 23:59:53.000000  1 solver.cpp:464] Iteration 0, lr = 0.02
a line that another program wrote: Iteration 7, loss = 3
I0101 00:00:13.500000  1 solver.cpp:189] Iteration 20, loss = nan
I0101 00:00:13.500000  1 solver.cpp:204]     Train net output #0: loss1 = nan
I0101 00:00:13.500000  1 solver.cpp:204]     Train net output #1: loss2 = -inf
I0101 00:00:13.500000  1 solver.cpp:464] Iteration 20, lr = 2e-2
"""


def test_log_of_real_caffe():
    log = train_log.read(REAL)
    assert log.train.columns() == ["NumIters", "Seconds", "LearningRate", "loss"]
    rows = [[row[name] for name in ("NumIters", "LearningRate", "loss")] for row in log.train.rows]
    assert rows == [[0, 0.1, 0.750371], [5, 0.1, 0.652826], [10, 0.1, 0.565695], [15, 0.01, 0.921945]]
    rows = [[row[name] for name in ("NumIters", "accuracy", "loss")] for row in log.test.rows]
    assert rows == [[0, 0.333333, 1.07547], [10, 0.75, 0.595204], [20, 0.833333, 0.375293]]
    assert log.test.rows[0]["Seconds"] == pytest.approx(0.465768 - 0.465665, abs=1e-9)
    assert [loss[2] for loss in log.losses] == [0.750371, 0.652826, 0.565695, 0.921945, 0.306959]


def test_old_log_across_new_year(tmp_path):
    path = tmp_path / "old.log"
    path.write_text(OLD)
    log = train_log.read(path)
    assert [row["Seconds"] for row in log.train.rows] == [42.0, 63.0]
    assert log.train.rows[0]["loss2"] == 1e-5 and str(log.train.rows[1]["loss1"]) == "nan"
    assert log.train.rows[1]["loss2"] == -float("inf")
    assert [row["LearningRate"] for row in log.train.rows] == [0.02, 0.02]
    assert [row["accuracy"] for row in log.test.rows] == [0.001]
    assert [loss[0] for loss in log.losses] == [0, 20]


def test_files_that_are_not_logs_raise(tmp_path):
    path = tmp_path / "none.log"
    with pytest.raises(CaffeError, match="No such file"):
        train_log.read(path)
    for content in (b"", b"Solving nothing\n", bytes(range(256)) * 10, b"I9999 99:99:99.0 1 x] Solving y\n"):
        path.write_bytes(content)
        with pytest.raises(CaffeError, match="is not a training log"):
            train_log.read(path)


@pytest.mark.parametrize(
    "damage",
    ["lr = 1..186429", "loss = 1e", "Iteration " + "9" * 5000 + ", loss = 1", "Iteration 99999999999999999999, lr = 1",
     "Train net output #0: loss = 1.2.3", "Train net output #" + "1" * 5000 + ": loss = 1e99999"],
)  # fmt: skip
def test_damaged_lines_are_skipped(tmp_path, damage):
    stamp = "I0101 10:00:00.000001  1 solver.cpp:1] "
    huge = "I0101 " + "9" * 5000 + ":00:00.0 1 x] Iteration 3\n"
    text = f"{stamp}Solving x\n{stamp}Iteration 5, loss = 2\n{stamp}{damage}\n{huge}{stamp}Iteration 7, loss = 3\n"
    (tmp_path / "log").write_text(text)
    losses = train_log.read(tmp_path / "log").losses
    assert [(int(n), loss) for n, _, loss in losses if n in (5, 7) and loss in (2, 3)] == [(5, 2), (7, 3)]
