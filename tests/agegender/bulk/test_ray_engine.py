"""Shards on Ray, with a cluster of plain objects: none is lost or doubled, lost actors are replaced, work is bounded.

Ray itself is used in test_bulk.py if it is installed.
"""

from types import SimpleNamespace

import pytest

from agegender.bulk import ray_engine, shards
from agegender.errors import AgeGenderError


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__("remote traceback")
        self.cause = cause


class Cluster:
    """Tasks finish in the order of a stack; `lost` maps the number of a call to the error that it ends with."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, lost=()):
        self.lost, self.calls, self.created, self.running, self.most = dict(lost), 0, 0, [], 0

    def remote(self, *arguments):
        self.created += 1
        return SimpleNamespace(run=SimpleNamespace(remote=self._run))

    def _run(self, names, kind):
        reference = (self.calls, ",".join(names).encode())
        self.calls += 1
        self.running.append(reference)
        self.most = max(self.most, len(self.running))
        return reference

    def wait(self, references, num_returns):
        return [self.running.pop()], None

    def get(self, reference):
        if reference[0] in self.lost:
            raise self.lost[reference[0]]
        return reference[1]


def _run(cluster, count=10, actors=2):
    images = shards.Images(names=[f"{i}" for i in range(3 * count)])
    plan = images.shards(3, {})
    group = ray_engine.Actors(cluster, (), actors)
    return plan, list(ray_engine._in_flight(cluster, group, images, "jsonl", plan))


@pytest.mark.parametrize("count, actors", [(1, 1), (3, 4), (10, 2), (11, 3)])
def test_every_shard_runs_once_with_bounded_work(count, actors):
    cluster = Cluster()
    plan, results = _run(cluster, count, actors)
    assert sorted(shard.number for shard, _ in results) == [shard.number for shard in plan]
    for shard, content in results:
        assert content.decode().split(",") == [str(i) for i in range(shard.first, shard.first + shard.count)]
    assert cluster.most <= ray_engine.AHEAD * actors and cluster.created == actors


def test_shards_of_a_lost_actor_run_again_on_another():
    cluster = Cluster({2: RayError("the node died"), 3: RayError("the node died")})
    plan, results = _run(cluster)
    assert sorted(shard.number for shard, _ in results) == [shard.number for shard in plan]
    assert cluster.created > 2 and cluster.calls == len(plan) + 2


def test_an_actor_that_never_starts_ends_the_run():
    cluster = Cluster({i: RayError("first line\ngraph/x.json: no such model") for i in range(100)})
    with pytest.raises(AgeGenderError, match="shard .*: graph/x.json: no such model"):
        _run(cluster, 1, 1)
    assert cluster.calls == 1 + ray_engine.RETRIES


def test_an_error_of_the_work_itself_is_not_repeated():
    with pytest.raises(AgeGenderError, match="shard 0: no memory"):
        _run(Cluster({0: RayTaskError(MemoryError("no memory"))}), 1, 1)
