"""gflags' and glog's own flags on Caffe's tools; the expectations are those of gflags' and glog's documentation."""

import os
import subprocess
import sys

import pytest

from caffe.errors import CaffeError
from caffe.tools import main
from caffe.tools.flags import common_flags, gflags

NET = """layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "l" type: "EuclideanLoss" bottom: "x" bottom: "t" }
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Undo what a flag sets."""
    for name in common_flags.GLOG:
        monkeypatch.setenv("GLOG_" + name, "x")
        monkeypatch.delenv("GLOG_" + name)


def normalise(*words):
    return gflags.normalise(list(words))


@pytest.mark.parametrize(
    "word, name, value",
    [
        ("-logtostderr=1", "logtostderr", "1"),
        ("-alsologtostderr", "alsologtostderr", "1"),
        ("--noalsologtostderr", "alsologtostderr", "0"),
        ("--log_dir=/tmp", "log_dir", "/tmp"),
        ("--log-dir=/tmp", "log_dir", "/tmp"),
        ("--minloglevel=1", "minloglevel", "1"),
        ("-v=1", "v", "1"),
        ("--stderrthreshold=2", "stderrthreshold", "2"),
        ("-colorlogtostderr=true", "colorlogtostderr", "1"),
    ],
)
@pytest.mark.parametrize("tool", ["train", "convert_imageset", "compute_image_mean"])
def test_flags_of_glog_set_its_environment_variables(tool, word, name, value):
    assert normalise(tool, word, "--backend=x" if tool != "train" else "--solver=x")[0] == tool
    assert os.environ["GLOG_" + name] == value


def test_a_separate_value_belongs_to_its_flag():
    assert normalise("convert_imageset", "-minloglevel", "2", "a/") == ["convert_imageset", "a/"]


@pytest.mark.parametrize(
    "words",
    [
        ["-solver=x", "train"],
        ["-solver", "x", "train"],
        ["-logtostderr", "-solver", "x", "train"],
        ["train", "-solver=x"],
    ],
)
def test_flags_before_the_command(words):
    assert normalise(*words) == ["train", "--solver=x"]


def test_flags_of_other_commands_have_no_effect():
    assert normalise("train", "-model", "n", "--solver=s") == ["train", "--solver=s"]
    assert normalise("time", "-snapshot=n", "--sighup_effect", "none", "--model=m") == ["time", "--model=m"]


def test_a_flag_of_no_command_is_unknown():
    with pytest.raises(CaffeError, match="unknown command line flag 'sovler'; did you mean 'solver'"):
        normalise("train", "--sovler=x")
    with pytest.raises(CaffeError, match="'solver'"):
        normalise("convert_imageset", "--solver=x")  # another program's
    assert normalise("train", "--sovler=x", "--undefok=sovler") == ["train"]


@pytest.mark.parametrize("words", [["-v=x"], ["-minloglevel", "1.5"], ["-logtostderr=maybe"], ["-log_dir"], ["-v"]])
def test_wrong_values(words):
    with pytest.raises(CaffeError, match="int32 flag|true or false|missing its value"):
        normalise("test", *words)


def test_flagfile(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/caffe"])
    file = tmp_path / "flags"
    file.write_text("# a comment\n--solver=a\n\nother tools*\n-gpu=1\ncaf*\n--level=3\nother\ncaffe\n--stage=s\n")
    assert normalise("train", f"-flagfile={file}", "--phase=T") == [
        "train", "--solver=a", "--level=3", "--stage=s", "--phase=T",
    ]  # fmt: skip
    file.write_text(f"--flagfile={file}\n")
    with pytest.raises(CaffeError, match="does a file name itself"):
        normalise("train", "--flagfile", str(file))
    with pytest.raises(CaffeError, match="No such file"):
        normalise("train", "--flagfile", str(file) + "x")


def test_flags_from_the_environment(monkeypatch):
    monkeypatch.setenv("FLAGS_solver", "s")
    assert normalise("train", "--fromenv=solver") == ["train", "--solver=s"]
    assert normalise("train", "--tryfromenv=solver,gpu") == ["train", "--solver=s"]
    with pytest.raises(CaffeError, match="FLAGS_gpu"):
        normalise("train", "--fromenv=gpu")


def test_help_and_version(capsys):
    assert normalise("train", "-helpshort") == ["train", "--help"]
    with pytest.raises(SystemExit) as end:
        normalise("train", "-version")
    assert end.value.code == 0 and " version " in capsys.readouterr().out


def test_an_unknown_flag_is_one_line(capsys):
    assert main(["train", "--sovler", "solver.prototxt"]) == 1
    assert capsys.readouterr().err == (
        "caffe train: error: unknown command line flag 'sovler'; did you mean 'solver'?\n"
    )


def test_an_unknown_flag_of_a_tool_is_one_line(capsys, monkeypatch):
    from caffe.tools import named

    monkeypatch.setattr(sys, "argv", ["/x/convert_imageset.bin", "--grey"])
    assert named() == 1
    assert capsys.readouterr().err.startswith("convert_imageset: error: unknown command line flag 'grey'")


def test_log_files(tmp_path):
    """`-log_dir` writes glog's files; `-minloglevel` and `-noalsologtostderr` thin out standard error."""
    (tmp_path / "net.prototxt").write_text(NET)
    solver = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "s"'
    (tmp_path / "solver.prototxt").write_text(solver)
    (tmp_path / "logs").mkdir()
    words = ["-solver", "solver.prototxt", "train", "-log_dir=logs", "-noalsologtostderr", "-iterations", "9"]
    run = subprocess.run([sys.executable, "-m", "caffe", *words], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0 and "Iteration" not in run.stderr and "iterations" not in run.stderr
    info, warning = ((tmp_path / "logs" / f"caffe.{name}").read_text() for name in ("INFO", "WARNING"))
    assert info.startswith("Log file created at: ") and "Optimization Done." in info and "--iterations has no" in info
    assert "Optimization Done." not in warning and "--iterations has no effect" in warning
    assert (tmp_path / "s_iter_1.caffemodel").exists()


def test_a_missing_log_folder_is_reported_and_does_not_stop_the_work(tmp_path, monkeypatch, capsys):
    from caffe.core import glog

    monkeypatch.setenv("GLOG_log_dir", str(tmp_path / "none"))
    glog.info("one")
    glog.info("two")
    error = capsys.readouterr().err
    assert error.count("Could not create log file") == 1 and "] one" in error and "] two" in error


@pytest.mark.parametrize("name, value, printed", [("minloglevel", "1", ["two", "three"]), ("minloglevel", "x", None)])
def test_levels(name, value, printed, monkeypatch, capsys):
    from caffe.core import glog

    monkeypatch.setenv("GLOG_" + name, value)
    glog.info("one")
    glog.warning("two")
    glog.error("three")
    lines = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == (printed or ["one", "two", "three"])


def test_stderrthreshold_and_prefix(monkeypatch, capsys):
    from caffe.core import glog

    monkeypatch.setenv("GLOG_alsologtostderr", "0")
    monkeypatch.setenv("GLOG_stderrthreshold", "1")
    monkeypatch.setenv("GLOG_log_prefix", "false")
    glog.info("one")
    glog.warning("two")
    assert capsys.readouterr().err == "two\n"
