"""Runs shards in this process, in several processes, or on a Ray cluster; writes each as it arrives."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from agegender.bulk.shards import Images, Shard
from agegender.bulk.worker import Worker
from agegender.errors import AgeGenderError
from caffe.core.ray_cluster import AHEAD
from caffe.utils import atomic_io
from caffe.utils.cli.progress import Progress
from caffe.utils.safe_path import safe_path

Factory = Callable[[dict[str, Any]], Any]
ATTEMPTS = 3  # how often a shard may take its worker down
_worker: list[Worker] = []  # of a process of the pool


def write_all(
    folder: str,
    kind: str,
    total: int,
    shards: Sequence[Shard],
    results: Callable[[Sequence[Shard]], Iterator[tuple[Shard, bytes]]],
) -> None:
    """Write the shards that `results` yields, in any order; one progress bar over all images.

    Parameters
    ----------
    folder : str
        Created if it does not exist.
    kind : {"parquet", "jsonl"}
    total : int
        Number of images, with those of earlier runs.
    shards : sequence of Shard
        What is missing.
    results : callable
        Yields each shard with its content.
    """
    os.makedirs(folder, exist_ok=True)
    missing = sum(shard.count for shard in shards)
    with Progress("Predicting", total, "images", start=total - missing) as progress:
        for shard, content in results(shards):
            atomic_io.write_bytes(os.path.join(folder, shard.name(kind)), content)
            progress.step(shard.count)


def in_this_process(factory: Factory, settings: dict[str, Any], images: Images, kind: str) -> Any:
    """Return a function for `write_all` that runs every shard here."""

    def results(shards: Sequence[Shard]) -> Iterator[tuple[Shard, bytes]]:
        worker = Worker(factory, settings)
        try:
            for shard in shards:
                yield shard, worker.run(images.of(shard), kind)
        finally:
            worker.close()

    return results


def in_processes(count: int, factory: Factory, settings: dict[str, Any], images: Images, kind: str) -> Any:
    """Return a function for `write_all` that runs shards in `count` processes; those of a killed one run again."""

    def results(shards: Sequence[Shard]) -> Iterator[tuple[Shard, bytes]]:
        waiting, attempts = list(shards), dict.fromkeys(shards, 0)
        while waiting:
            finished: set[Shard] = set()
            try:
                for shard, content in _pool_results(count, factory, settings, images, kind, waiting):
                    finished.add(shard)
                    yield shard, content
            except BrokenProcessPool:
                for shard in waiting[: len(finished) + AHEAD * count]:
                    attempts[shard] += shard not in finished
            waiting = [shard for shard in waiting if shard not in finished]
            if waiting and max(attempts[shard] for shard in waiting) >= ATTEMPTS:
                raise AgeGenderError(
                    f"a process ended {ATTEMPTS} times while it predicted; is there not enough memory?"
                )

    return results


def _pool_results(count, factory, settings, images, kind, shards):
    context = multiprocessing.get_context("spawn")
    with safe_path(), ProcessPoolExecutor(count, context, _open_worker, (factory, settings)) as pool:
        # all processes start before any work: one that dies while another starts would leave the pool waiting for ever
        pool._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
        running: dict[Future, Shard] = {}
        try:
            for shard in shards:
                if len(running) >= AHEAD * count:
                    yield from _finished(running)
                running[_submit(pool, images.of(shard), kind)] = shard
            while running:
                yield from _finished(running)
        except GeneratorExit:
            pool.shutdown(cancel_futures=True)
            raise


def _submit(pool, names, kind):
    try:
        return pool.submit(_run, names, kind)
    except (OSError, ValueError) as error:  # a process died while another one started: the pool has closed its pipes
        raise BrokenProcessPool(str(error)) from error


def _finished(running):
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future.result()


def _open_worker(factory, settings):
    _worker.append(Worker(factory, settings))


def _run(names, kind):
    return _worker[0].run(names, kind)


def on_ray(address: str, count: int, factory: Factory, settings: dict[str, Any], images: Images, kind: str) -> Any:
    """Return a function for `write_all` that runs shards on the Ray cluster at `address`."""

    def results(shards: Sequence[Shard]) -> Iterator[tuple[Shard, bytes]]:
        from agegender.bulk import ray_engine

        yield from ray_engine.results(address, count, factory, settings, images, kind, shards)

    return results
