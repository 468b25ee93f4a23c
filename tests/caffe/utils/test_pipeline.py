"""A stage runs again when its inputs, settings or outputs are no longer as they were, and only then."""

import os

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


def training(folder, settings, run=lambda: None, afresh=False):
    folder.mkdir(exist_ok=True)
    return Stage(
        "train", "Train", run, [], [str(folder / "s_iter_4.caffemodel")], settings,
        stamps=str(folder / "stamps"), snapshots=str(folder / "s"), afresh=afresh,
    )  # fmt: skip


def kill_at_unlink(monkeypatch, number):
    """Have the process end, as it were, at unlink `number` of a snapshot."""
    unlink, seen = os.unlink, []

    def dying(path, *args, **kwargs):
        seen.extend([path] if "_iter_" in str(path) else [])
        if len(seen) == number:
            raise KeyboardInterrupt
        return unlink(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", dying)


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_while_old_snapshots_are_removed_never_passes_them_as_the_new_work(tmp_path, monkeypatch, number):
    folder = tmp_path / "net"
    training(folder, {"data": 1}, lambda: [(folder / f"s_iter_{n}.caffemodel").write_text("old") for n in (2, 4)]).go()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        kill_at_unlink(patch, number)
        training(folder, {"data": 2}).go()
    again = training(folder, {"data": 2})
    assert not again.up_to_date()
    found = []
    again.run = lambda: found.extend(folder.glob("s_iter_*"))
    again.go()
    assert not again.interrupted and found == []


def test_the_same_work_goes_on_from_its_snapshots_unless_it_is_to_start_afresh(tmp_path):
    folder = tmp_path / "net"

    def cut_off():
        (folder / "s_iter_2.caffemodel").write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training(folder, {}, cut_off).go()
    training(folder, {}).go()
    assert (folder / "s_iter_2.caffemodel").exists()
    with pytest.raises(ZeroDivisionError):
        training(folder, {}, cut_off).go()
    training(folder, {}, afresh=True).go()
    assert not (folder / "s_iter_2.caffemodel").exists()
