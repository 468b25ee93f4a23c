"""A stage runs again when its inputs, settings or outputs are no longer as they were, and only then."""

import pytest

from caffe.utils.pipeline import Stage


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("1")
    runs = []

    def make(settings=None, fail=False):
        def run():
            runs.append(1)
            (tmp_path / "out").write_text((tmp_path / "in").read_text())
            if fail:
                raise ZeroDivisionError

        return Stage("copy", "Copy", run, ["in"], ["out"], settings or {})

    return make, runs, tmp_path


def test_runs_once(stage):
    make, runs, _ = stage
    assert not make().up_to_date()
    make().go()
    assert make().up_to_date() and len(runs) == 1


@pytest.mark.parametrize("change", ["input", "output", "gone", "settings"])
def test_whatever_changes_makes_it_out_of_date(stage, change):
    make, _, folder = stage
    make().go()
    if change == "input":
        (folder / "in").write_text("22")
    if change == "output":
        (folder / "out").write_text("changed")
    if change == "gone":
        (folder / "out").unlink()
    assert not make({"a": 1} if change == "settings" else None).up_to_date()


def test_a_stage_that_was_cut_off_knows_it(stage):
    make, runs, _ = stage
    with pytest.raises(ZeroDivisionError):
        make(fail=True).go()
    again = make()
    assert not again.up_to_date()
    again.go()
    assert again.interrupted and again.up_to_date()
    other = make({"a": 1})
    other.go()
    assert not other.interrupted
