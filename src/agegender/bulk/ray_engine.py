"""Shards on a Ray cluster: one actor per CPU or stick holds the compiled nets; lost ones are replaced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agegender.bulk.shards import Images, Shard
from agegender.bulk.worker import Worker
from agegender.errors import AgeGenderError
from caffe.core import ray_cluster
from caffe.core.ray_cluster import AHEAD, RETRIES

STICKS = ("MYRIAD", "MVNC")
PATIENCE = 60.0  # seconds without news after which a run that has no actor says so


def results(
    address: str,
    count: int,
    factory: Callable[[dict[str, Any]], Any],
    settings: dict[str, Any],
    images: Images,
    kind: str,
    shards: Sequence[Shard],
) -> Iterator[tuple[Shard, bytes]]:
    """Yield each shard with its content, as it is finished.

    Parameters
    ----------
    address : str
        "local" starts Ray on this machine, "auto" joins the cluster that runs here, else the cluster's address.
    count : int
        Number of actors; 0: as many as the cluster has CPUs, or sticks (resource `ncs`) for a stick's device.
    factory, settings
        See `Worker`.
    images : Images
    kind : {"parquet", "jsonl"}
    shards : sequence of Shard
    """
    with ray_cluster.connected(address) as ray:
        stick = str(settings.get("device", "")).upper().startswith(STICKS)
        resource = "ncs" if stick else "CPU"
        count = count or int(ray.cluster_resources().get(resource, 0))
        if count < 1:
            raise AgeGenderError(f"the Ray cluster has no resource '{resource}'; start its nodes with --resources")
        options: dict[str, Any] = {"num_cpus": 1}
        if stick:
            options["resources"] = {"ncs": 1}
        actors = Actors(ray, ray.remote(**options)(Worker), (factory, settings), min(count, len(shards)))
        yield from _in_flight(ray, actors, images, kind, shards)


class Actors:
    """The actors of a run. Only those whose nets are open take work, so that none waits for a node that is lost.

    A lost actor is replaced as soon as some node has room; until then the others work on.
    """

    def __init__(self, ray: Any, kind: Any, arguments: tuple, count: int) -> None:
        self._ray, self._kind, self._arguments = ray, kind, arguments
        self._failures = 0  # of starts, one after the other
        self._replaced: list[Any] = []
        self.starting: dict[Any, Any] = {}
        self.free: list[Any] = []  # an actor is in it as often as it can take a shard
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        actor = self._kind.remote(*self._arguments)
        self.starting[actor.ready.remote()] = actor

    def started(self, reference: Any) -> None:
        """Let the actor of a finished start take work, or start another if it failed; raise after RETRIES failures."""
        actor = self.starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failures += 1
            if self._failures > RETRIES:
                raise AgeGenderError(f"no actor starts: {ray_cluster.last_line(error)}") from None
            self._start()
            return
        self._failures = 0
        self.free += AHEAD * [actor]

    def release(self, actor: Any) -> None:
        """Let an actor that has finished a shard take another, unless it was replaced."""
        if actor not in self._replaced:
            self.free.append(actor)

    def replace(self, actor: Any) -> None:
        """End an actor that lost a shard and start another, once."""
        if actor in self._replaced:
            return
        self._replaced.append(actor)
        self._ray.kill(actor)
        self.free = [other for other in self.free if other is not actor]
        self._start()


def _in_flight(ray, actors, images, kind, shards):
    """Keep AHEAD shards per actor in flight; a shard of a lost actor runs again, at most RETRIES times."""
    running: dict[Any, tuple[Shard, Any]] = {}
    waiting, attempts = list(reversed(shards)), dict.fromkeys(shards, 0)
    while waiting or running:
        while waiting and actors.free:
            shard, actor = waiting.pop(), actors.free.pop(0)
            running[actor.run.remote(images.of(shard), kind)] = (shard, actor)
        reference = _next(ray, running, actors.starting)
        if reference in actors.starting:
            actors.started(reference)
            continue
        shard, actor = running.pop(reference)
        try:
            content = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise AgeGenderError(f"shard {shard.number}: {error.cause}") from None
        except ray.exceptions.RayError as error:
            attempts[shard] += 1
            if attempts[shard] > RETRIES:
                raise AgeGenderError(f"shard {shard.number}: {ray_cluster.last_line(error)}") from None
            waiting.append(shard)
            actors.replace(actor)
        else:
            actors.release(actor)
            yield shard, content


def _next(ray, running, starting):
    """Wait for one of the references and return it."""
    while True:
        done, _ = ray.wait([*running, *starting], num_returns=1, timeout=PATIENCE)
        if done:
            return done[0]
        if not running:
            print("No node of the Ray cluster has room for an actor; waiting for one", file=sys.stderr)
