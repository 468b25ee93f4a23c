"""A few kills of cheap commands in every test run; `python tests/kills` runs hundreds, over all commands."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import commands
import strace_kill

CHEAP = {"convert_imageset": 6, "compute_image_mean": 3, "download": 6, "upgrade_net_proto_text": 3}
NEITHER = "is neither as before nor as after the command"
REASON = strace_kill.available()


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("name", CHEAP)
def test_a_kill_loses_nothing_and_the_next_run_completes(name, tmp_path):
    trial = strace_kill.Trial(commands.CASES[name], tmp_path)
    for point in strace_kill.spread(trial.points, CHEAP[name]):
        assert trial.kill(point) == [], point


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_a_loss_is_noticed(tmp_path):
    """The check of the check: a command that deletes its old output first is a fault."""
    case = commands.Case(
        "loses",
        (__name__, "write"),
        prepare=lambda folder: (folder / "out").write_text("old"),
        change=lambda folder: None,
    )
    trial = strace_kill.Trial(case, tmp_path)
    assert ("unlink", 1) in trial.points and ("rename", 1) in trial.points
    assert trial.kill(("rename", 1)) == [f"{name} {NEITHER}" for name in ("out", "part")]


def main(arguments):
    """Replace the file `out` without care; the command of the test above."""
    Path("out").unlink(missing_ok=True)
    Path("part").write_text("new")
    Path("part").rename("out")
    return 0


def test_points_are_spread():
    points = [("rename", n) for n in range(10)]
    assert strace_kill.spread(points, 20) == points
    assert strace_kill.spread(points, 2) == [("rename", 0), ("rename", 5)]
