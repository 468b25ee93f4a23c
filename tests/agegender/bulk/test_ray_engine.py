"""Shards on Ray, with a cluster of plain objects: none is lost or doubled, lost actors are replaced, work is bounded.

Ray itself is used in test_bulk.py if it is installed.
"""

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from agegender.bulk import ray_engine, shards
from agegender.errors import AgeGenderError


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__("remote traceback")
        self.cause = cause


class Reference(NamedTuple):
    """The result of a call that is not known yet."""

    actor: object
    kind: str
    content: bytes
    number: int


class Actor:
    def __init__(self, cluster):
        self.cluster, self.dead, self.most = cluster, False, 0
        self.ready = SimpleNamespace(remote=lambda: cluster.start(self, "ready", b""))
        self.run = SimpleNamespace(remote=lambda names, kind: cluster.start(self, "run", ",".join(names).encode()))


class Cluster:
    """Work ends in the order of a stack.

    `lost` maps the number of a run to the error that it ends with; `closed` the number of an actor to the error of its
    start; actors from number `room` on never start.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, lost=(), closed=(), room=1000):
        self.lost, self.closed, self.room = dict(lost), dict(closed), room
        self.created, self.killed, self.running, self.runs, self.waits = [], [], [], 0, []

    def remote(self, *arguments):
        self.created.append(Actor(self))
        return self.created[-1]

    def kill(self, actor):
        assert actor not in self.killed
        actor.dead = True
        self.killed.append(actor)

    def start(self, actor, kind, content):
        assert not actor.dead
        reference = Reference(actor, kind, content, self.runs)
        self.runs += kind == "run"
        self.running.append(reference)
        actor.most = max(actor.most, sum(other.actor is actor and other.kind == "run" for other in self.running))
        return reference

    def wait(self, references, num_returns, timeout):
        self.waits.append(timeout)
        may_end = [one for one in references if one.kind == "run" or self._has_room(one.actor)]
        return ([max(may_end, key=lambda one: self.running.index(one))], None) if may_end else ([], references)

    def _has_room(self, actor):
        return self.created.index(actor) < self.room

    def get(self, reference):
        self.running.remove(reference)
        if reference.kind == "ready":
            error = self.closed.get(self.created.index(reference.actor))
        else:
            error = self.lost.get(reference.number, RayError("its actor was ended") if reference.actor.dead else None)
        if error:
            raise error
        return reference.content


def _run(cluster, count=10, actors=2):
    images = shards.Images(names=[f"{i}" for i in range(3 * count)])
    plan = images.shards(3, {})
    group = ray_engine.Actors(cluster, cluster, (), actors)
    return plan, list(ray_engine._in_flight(cluster, group, images, "jsonl", plan))


@pytest.mark.parametrize("count, actors", [(1, 1), (3, 4), (10, 2), (11, 3)])
def test_every_shard_runs_once_with_bounded_work(count, actors):
    cluster = Cluster()
    plan, results = _run(cluster, count, actors)
    assert sorted(shard.number for shard, _ in results) == [shard.number for shard in plan]
    for shard, content in results:
        assert content.decode().split(",") == [str(i) for i in range(shard.first, shard.first + shard.count)]
    assert len(cluster.created) == actors and not cluster.killed
    assert max(actor.most for actor in cluster.created) <= ray_engine.AHEAD


@pytest.mark.parametrize("room", [2, 3])
def test_shards_of_a_lost_actor_run_again_on_another(room):
    """With room for a third actor, and without: then the other actor does everything."""
    cluster = Cluster({2: RayError("the node died")}, room=room)
    plan, results = _run(cluster)
    assert sorted(shard.number for shard, _ in results) == [shard.number for shard in plan]
    assert len(cluster.created) == 3 and len(cluster.killed) == 1


def test_a_run_that_has_no_actor_says_so_and_waits(capsys):
    cluster = Cluster(room=0)
    waited = cluster.wait

    def wait(*arguments, **options):
        cluster.room = 2 * (len(cluster.waits) >= 1)  # a node joins after the first wait
        return waited(*arguments, **options)

    cluster.wait = wait
    plan, results = _run(cluster)
    assert len(results) == len(plan) and set(cluster.waits) == {ray_engine.PATIENCE}
    assert capsys.readouterr().err.count("No node of the Ray cluster has room for an actor") == 1


def test_an_actor_that_starts_at_the_second_attempt_is_used():
    cluster = Cluster(closed={0: RayError("the node died")})
    plan, results = _run(cluster, actors=1)
    assert len(results) == len(plan) and len(cluster.created) == 2


def test_an_actor_that_never_starts_ends_the_run():
    cluster = Cluster(closed={i: RayError("first line\ngraph/x.json: no such model") for i in range(100)})
    with pytest.raises(AgeGenderError, match="no actor starts: graph/x.json: no such model"):
        _run(cluster, 1, 1)
    assert len(cluster.created) == 1 + ray_engine.RETRIES and not cluster.runs


def test_a_shard_that_ends_every_actor_ends_the_run():
    cluster = Cluster({i: RayError("not enough memory") for i in range(100)})
    with pytest.raises(AgeGenderError, match="shard 0: not enough memory"):
        _run(cluster, 1, 1)
    assert cluster.runs == 1 + ray_engine.RETRIES


def test_an_error_of_the_work_itself_is_not_repeated():
    with pytest.raises(AgeGenderError, match="shard 0: no memory"):
        _run(Cluster({0: RayTaskError(MemoryError("no memory"))}), 1, 1)
