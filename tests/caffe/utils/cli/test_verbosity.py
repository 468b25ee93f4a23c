"""-q and -v mean the same in every command of ncs and agegender."""

import pytest

from agegender import cli as agegender
from caffe.utils.cli import verbosity
from caffe.utils.cli.progress import Progress
from ncs import cli as ncs


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "0")
    yield
    verbosity.set_level(verbosity.NORMAL)


@pytest.mark.parametrize("main, argv", [(agegender.main, ["test", "AgeNet"]), (ncs.main, ["inspect", "none.blob"])])
def test_verbose_adds_the_traceback_of_an_error(main, argv, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main([*argv, "-v"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and ": error: " in err


def test_quiet_hides_progress(capsys):
    verbosity.set_level(verbosity.QUIET)
    with Progress("Reading", 2, every=0.0) as bar:
        bar.step()
    assert capsys.readouterr().err == ""
    verbosity.set_level(verbosity.NORMAL)
    with Progress("Reading", 2, every=0.0) as bar:
        bar.step()
    assert "Reading: 1/2" in capsys.readouterr().err
