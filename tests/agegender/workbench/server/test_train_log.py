"""Points of a log against `caffe parse_log`'s reader; resumed event streams; min and max; explanations."""

import asyncio
import json

import pytest
from support import workbench_root as wr

from agegender.workbench.server import train_log
from caffe.solver import train_log as reference


def points_of(events):
    """Join the data of events; return (points, ids)."""
    points, ids = {}, []
    for block in b"".join(events).decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in lines and lines.get("event") != "restart":
            ids.append(int(lines["id"]))
            for name, rows in json.loads(lines["data"]).items():
                if isinstance(rows, list):
                    points.setdefault(name, []).extend(rows)
    return points, ids


async def collect(path, start, seconds=1.0):
    follower = train_log.Follower(str(path))
    events = []

    async def read():
        async for event in follower.watch(start):
            events.append(event)

    task = asyncio.create_task(read())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if follower._task is not None:
        follower._task.cancel()
    return events


@pytest.fixture
def log(trained_root):
    return trained_root / (wr.RUN + ".log")


def test_points_are_those_of_parse_log(log):
    expected = reference.read(str(log))
    points = train_log.series(str(log))
    assert points["loss"] == [[iteration, loss] for iteration, _, loss in expected.losses]
    accuracy = [[row["NumIters"], row["accuracy"]] for row in expected.test.rows if "accuracy" in row]
    assert points["test accuracy"] == accuracy
    assert points["lr"] == [[i, 0.01 * 0.5 ** (i // 10)] for i in range(0, 20, 2)]  # the policy `step` of the solver
    assert [row[0] for row in points["snapshots"]] == [10, 20]


def test_stream_has_all_points(log):
    points, ids = points_of(asyncio.run(collect(log, 0)))
    assert points == train_log.series(str(log))
    assert ids == sorted(ids) and ids[-1] <= log.stat().st_size


def test_stream_resumes_at_every_event(log, monkeypatch):
    """A client that reconnects with the last id misses no point."""
    monkeypatch.setattr(train_log, "CHUNK", 700)
    whole = points_of(asyncio.run(collect(log, 0)))
    for start in whole[1]:
        before, _ = points_of(
            [event for event in asyncio.run(collect(log, 0, 0.4)) if not event.startswith(b"id") or _id(event) <= start]
        )
        after, _ = points_of(asyncio.run(collect(log, start, 0.4)))
        for name, rows in whole[0].items():
            joined = {tuple(row) for part in (before, after) for row in part.get(name, [])}
            assert {tuple(row) for row in rows} <= joined
        if start == whole[1][2]:
            break


def _id(event):
    return int(event.split(b"\n")[0][4:])


def test_appended_lines_arrive_and_a_new_run_restarts(tmp_path, monkeypatch):
    monkeypatch.setattr(train_log, "POLL_SECONDS", 0.02)
    path = tmp_path / "train.log"
    path.write_text("I0101 10:00:00.000000 1 solver.cpp:239] Iteration 0 (0 iter/s, 1s/1 iters), loss = 2\n")

    async def scenario():
        follower = train_log.Follower(str(path))
        events = []

        async def read():
            async for event in follower.watch():
                events.append(event)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.3)
        with open(path, "a") as stream:
            stream.write("I0101 10:00:01.000000 1 solver.cpp:239] Iteration 1 (1 iter/s, 1s/1 iters), loss = 1\nI01")
        await asyncio.sleep(0.3)
        path.write_text("I0101 10:00:00.000000 1 solver.cpp:239] Iteration 0 (0 iter/s, 1s/1 iters), loss = 9\n")
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert follower.watchers == 0
        follower._task.cancel()
        return b"".join(events)

    text = asyncio.run(scenario())
    assert text.index(b"[0,2.0]") < text.index(b"[1,1.0]") < text.index(b"event: restart") < text.index(b"[0,9.0]")


def test_one_reader_serves_all_watchers(log, monkeypatch):
    reads = []
    original = train_log.Follower.read
    monkeypatch.setattr(train_log.Follower, "read", lambda self: reads.append(1) or original(self))

    async def scenario():
        follower = train_log.Follower(str(log))
        received = []

        async def read():
            async for event in follower.watch():
                received.append(event)

        tasks = [asyncio.create_task(read()) for _ in range(50)]
        await asyncio.sleep(1.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        follower._task.cancel()
        return received

    received = asyncio.run(scenario())
    assert sum(b"data:" in event for event in received) == 50
    assert len(reads) <= 6


@pytest.mark.parametrize(
    "rows,word",
    [([[0, 2.0], [1, None]], "not finite at iteration 1"), ([[0, 2.0], [4, 87.34]], "87.34"), ([[0, 2.0]], "")],
)
def test_explanation_of_divergence(rows, word):
    text = train_log.explain({"loss": rows})
    assert (word in text) if word else text == ""


def test_value_that_is_not_finite_is_null():
    points = train_log.Parser().parse(
        "I0101 10:00:00.0 1 solver.cpp:239] Iteration 5 (1 iter/s, 1s/1 iters), loss = nan"
    )
    assert points == {"loss": [[5, None]]}


def test_best_snapshot_has_the_highest_accuracy_among_snapshots():
    points = {"snapshots": [[10, 0], [20, 0], [30, 0]], "test accuracy": [[10, 0.5], [15, 0.9], [20, 0.7], [30, 0.6]]}
    assert train_log.best_snapshot(points) == 20
    assert train_log.best_snapshot({"snapshots": [[10, 0], [20, 0]], "test loss": [[10, 0.5], [20, 0.7]]}) == 10
    assert train_log.best_snapshot({"snapshots": [[10, 0]]}) is None
