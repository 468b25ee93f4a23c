"""Shards on a Ray cluster: one actor per CPU or stick holds the compiled nets; Ray restarts those of lost nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agegender.bulk.engine import AHEAD
from agegender.bulk.shards import Images, Shard
from agegender.bulk.worker import Worker
from agegender.errors import AgeGenderError

STICKS = ("MYRIAD", "MVNC")
RETRIES = 3


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
    ray = _connected(address)
    try:
        stick = str(settings.get("device", "")).upper().startswith(STICKS)
        resource = "ncs" if stick else "CPU"
        count = count or int(ray.cluster_resources().get(resource, 0))
        if count < 1:
            raise AgeGenderError(f"the Ray cluster has no resource '{resource}'; start its nodes with --resources")
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": RETRIES}
        if stick:
            options["resources"] = {"ncs": 1}
        actor = ray.remote(**options)(Worker)
        actors = [actor.remote(factory, settings) for _ in range(min(count, len(shards)))]
        yield from _in_flight(ray, actors, images, kind, shards)
    finally:
        ray.shutdown()


def _connected(address):
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise AgeGenderError("--ray needs Ray: pip install 'caffe2ncs[ray]'") from None
    try:
        if address == "local":
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        else:
            ray.init(address, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise AgeGenderError(f"--ray {address}: {str(error).splitlines()[0]}") from None
    return ray


def _in_flight(ray, actors, images, kind, shards):
    """Keep AHEAD shards per actor in flight."""
    running: dict[Any, tuple[Shard, Any]] = {}
    waiting = iter(shards)
    free = [actor for _ in range(AHEAD) for actor in actors]
    while True:
        for actor, shard in zip(free, waiting):  # in this order: zip takes no shard without an actor
            running[actor.run.remote(images.of(shard), kind)] = (shard, actor)
        if not running:
            return
        (reference,), _ = ray.wait(list(running), num_returns=1)
        shard, actor = running.pop(reference)
        try:
            yield shard, ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise AgeGenderError(f"shard {shard.number}: {error.cause}") from None
        except ray.exceptions.RayError as error:
            raise AgeGenderError(f"shard {shard.number}: {str(error).splitlines()[0]}") from None
        free = [actor]
