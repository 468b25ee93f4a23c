"""parse_log on a log of real Caffe."""

import csv
from pathlib import Path

import pytest

from caffe import tools

REAL = Path(__file__).parents[2] / "golden" / "logs" / "kendryte_caffe.log"


def test_tables(tmp_path, capsys):
    assert tools.main(["parse_log", str(REAL), str(tmp_path), "--verbose"]) == 0
    with open(tmp_path / "kendryte_caffe.log.test", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["NumIters", "Seconds", "LearningRate", "accuracy", "loss"]
    assert [row[0] for row in rows[1:]] == ["0.0", "10.0", "20.0"] and rows[2][3:] == ["0.75", "0.595204"]
    train = (tmp_path / "kendryte_caffe.log.train").read_bytes()
    assert train.startswith(b"NumIters,Seconds,LearningRate,loss\r\n0.0,")
    assert f"Wrote {tmp_path}/kendryte_caffe.log.train" in capsys.readouterr().out


def test_delimiter_and_log_without_rows(tmp_path, capsys):
    assert tools.main(["parse_log", str(REAL), str(tmp_path), "-delimiter=;"]) == 0
    assert (tmp_path / "kendryte_caffe.log.train").read_text().startswith("NumIters;Seconds")
    (tmp_path / "short.log").write_text("I0101 00:00:00.000001  1 solver.cpp:1] Solving net\n")
    assert tools.main(["parse_log", str(tmp_path / "short.log"), str(tmp_path), "--verbose"]) == 0
    assert "short.log.train; no lines to write" in capsys.readouterr().out
    assert not (tmp_path / "short.log.train").exists()


@pytest.mark.parametrize(
    "arguments, message", [([".", "--delimiter", "ab"], "one character"), (["no_folder"], "no folder 'no_folder'")]
)
def test_errors(arguments, message, capsys):
    assert tools.main(["parse_log", str(REAL), *arguments]) == 1
    assert message in capsys.readouterr().err
