"""Shards on a Ray cluster: one actor per CPU or stick holds the compiled nets; Ray restarts those of lost nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agegender.bulk.shards import Images, Shard
from agegender.bulk.worker import Worker
from agegender.errors import AgeGenderError
from caffe.core import ray_cluster
from caffe.core.ray_cluster import AHEAD, RETRIES

STICKS = ("MYRIAD", "MVNC")


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
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": RETRIES}
        if stick:
            options["resources"] = {"ncs": 1}
        actors = Actors(ray.remote(**options)(Worker), (factory, settings), min(count, len(shards)))
        yield from _in_flight(ray, actors, images, kind, shards)


class Actors:
    """The actors of a run; one that died in its creation, which Ray does not repeat, is replaced."""

    def __init__(self, kind: Any, arguments: tuple, count: int) -> None:
        self._kind, self._arguments = kind, arguments
        self._actors = [kind.remote(*arguments) for _ in range(count)]

    def __len__(self) -> int:
        return len(self._actors)

    def __getitem__(self, number: int) -> Any:
        return self._actors[number]

    def replace(self, number: int, dead: Any) -> None:
        """Start another actor in place of `dead`, unless that has happened."""
        if self._actors[number] is dead:
            self._actors[number] = self._kind.remote(*self._arguments)


def _in_flight(ray, actors, images, kind, shards):
    """Keep AHEAD shards per actor in flight; a shard of a lost actor runs again, at most RETRIES times."""
    running: dict[Any, tuple[Shard, int, Any]] = {}
    waiting, attempts = list(reversed(shards)), dict.fromkeys(shards, 0)
    free = [number for _ in range(AHEAD) for number in range(len(actors))]
    while waiting or running:
        while waiting and free:
            shard, number = waiting.pop(), free.pop(0)
            actor = actors[number]
            running[actor.run.remote(images.of(shard), kind)] = (shard, number, actor)
        (reference,), _ = ray.wait(list(running), num_returns=1)
        shard, number, actor = running.pop(reference)
        free.append(number)
        try:
            yield shard, ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise AgeGenderError(f"shard {shard.number}: {error.cause}") from None
        except ray.exceptions.RayError as error:
            attempts[shard] += 1
            if attempts[shard] > RETRIES:
                raise AgeGenderError(f"shard {shard.number}: {ray_cluster.last_line(error)}") from None
            actors.replace(number, actor)
            waiting.append(shard)
