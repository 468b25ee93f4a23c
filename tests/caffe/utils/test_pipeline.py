"""A stage runs when its inputs, settings or outputs have changed, and only then."""

import os

import pytest

from caffe.utils.pipeline import Pipeline, Stage


class Workspace:
    """A stage that copies `in` to `out` and counts its runs."""

    def __init__(self, folder):
        self.folder, self.runs = folder, 0
        (folder / "in").write_text("1")

    def stage(self, settings=None, fail=False):
        def copy():
            self.runs += 1
            (self.folder / "out").write_text((self.folder / "in").read_text())
            if fail:
                raise ZeroDivisionError

        return Stage("copy", "Copy", copy, ["in"], ["out"], settings or {}, partial=["part_*"])


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path)


def test_runs_once(workspace):
    assert not workspace.stage().up_to_date()
    Pipeline([workspace.stage()]).run()
    Pipeline([workspace.stage()]).run()
    assert workspace.stage().up_to_date() and workspace.runs == 1
    Pipeline([workspace.stage()], force=True).run()
    assert workspace.runs == 2


@pytest.mark.parametrize("change", ["input", "output", "missing output", "settings"])
def test_a_change_makes_it_stale(workspace, change):
    workspace.stage().run()
    if change == "input":
        (workspace.folder / "in").write_text("22")
    if change == "output":
        (workspace.folder / "out").write_text("changed")
    if change == "missing output":
        (workspace.folder / "out").unlink()
    assert not workspace.stage({"a": 1} if change == "settings" else None).up_to_date()


def test_an_input_that_changes_during_the_run_makes_it_stale(workspace):
    stage = workspace.stage()
    copy = stage.action

    def action():
        copy()
        (workspace.folder / "in").write_text("changed while the stage runs")

    stage.action = action
    stage.run()
    assert not workspace.stage().up_to_date()
    Pipeline([workspace.stage()]).run()
    assert (workspace.folder / "out").read_text() == "changed while the stage runs"
    assert workspace.stage().up_to_date()


def test_only_the_same_interrupted_stage_keeps_partial_results(workspace):
    part = workspace.folder / "part_1"
    with pytest.raises(ZeroDivisionError):
        workspace.stage(fail=True).run()
    part.write_text("half")
    workspace.stage().run()
    assert part.exists() and workspace.stage().up_to_date()
    workspace.stage({"a": 1}).run()
    assert not part.exists()


def test_force_deletes_partial_results(workspace):
    with pytest.raises(ZeroDivisionError):
        workspace.stage(fail=True).run()
    part = workspace.folder / "part_1"
    part.write_text("half")
    workspace.stage().run(force=True)
    assert not part.exists()


def test_a_kill_while_old_snapshots_are_deleted_never_resumes_from_them(workspace, monkeypatch):
    workspace.stage().run()
    old = workspace.folder / "part_1"
    old.write_text("snapshot of the old data")
    (workspace.folder / "in").write_text("new data")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            workspace.stage().run()
    assert old.exists() and workspace.runs == 1
    workspace.stage().run()
    assert not old.exists() and (workspace.folder / "out").read_text() == "new data"


def test_a_generator_of_stages_advances_after_each_run(workspace):
    events = []

    def stages():
        yield Stage("a", "A", lambda: events.append("ran a"), [], [])
        events.append("requested b")
        yield Stage("b", "B", lambda: events.append("ran b"), [], [])

    log = []
    Pipeline(stages(), start=lambda *args: log.append(args[0]), finish=lambda stage, _: log.append(stage.name)).run()
    assert events == ["ran a", "requested b", "ran b"] and log == [1, "a", 2, "b"]
