"""plot_training_log: Caffe's chart types and their curves."""

from pathlib import Path

import cv2
import pytest

from caffe import tools
from caffe.solver import train_log
from caffe.tools.plot_training_log import CHARTS, curves

REAL = Path(__file__).parents[2] / "golden" / "logs" / "kendryte_caffe.log"


def test_chart_types_match_caffe():
    assert list(CHARTS) == [
        "Test accuracy  vs. Iters",
        "Test accuracy  vs. Seconds",
        "Test loss  vs. Iters",
        "Test loss  vs. Seconds",
        "Train learning rate  vs. Iters",
        "Train learning rate  vs. Seconds",
        "Train loss  vs. Iters",
        "Train loss  vs. Seconds",
    ]


def test_curves():
    log = train_log.read(REAL)
    assert curves(log, 0) == {"accuracy": [(0, 0.333333), (10, 0.75), (20, 0.833333)]}
    assert curves(log, 2) == {"loss": [(0, 1.07547), (10, 0.595204), (20, 0.375293)]}
    assert curves(log, 4) == {"": [(0, 0.1), (5, 0.1), (10, 0.1), (15, 0.01)]}
    assert curves(log, 6)[""][-1] == (20, 0.306959)
    assert [x for x, _ in curves(log, 1)["accuracy"]] == pytest.approx([0.000103, 0.000283, 0.000419], abs=1e-9)


def test_plot_of_two_logs(tmp_path):
    second = tmp_path / "second.log"
    second.write_text(REAL.read_text().replace("accuracy = 0.75", "accuracy = 0.1"))
    assert tools.main(["plot_training_log", "0", str(tmp_path / "a.png"), str(REAL), str(second)]) == 0
    assert cv2.imread(str(tmp_path / "a.png")).shape == (600, 960, 3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["8", "a.png", str(REAL)], "7: Train loss  vs. Seconds"),
        (["0", "a.xyz", str(REAL)], "the file extension must be .png"),
        (["0", "a.png", "none.log"], "none.log"),
    ],
)
def test_errors(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tools.main(["plot_training_log", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
