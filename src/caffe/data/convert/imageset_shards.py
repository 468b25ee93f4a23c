"""The shards of convert_imageset: contiguous ranges of a list as databases of their own, written here or on Ray."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator, Sequence
from typing import Any

from caffe.core import glog, ray_cluster
from caffe.data import listfile
from caffe.data.convert import imageset
from caffe.data.db import create_db
from caffe.data.db import shards as shard_list
from caffe.data.parallel_map import cores
from caffe.errors import CaffeError
from caffe.utils.cli.progress import Progress


@dataclasses.dataclass(frozen=True)
class Options:
    """What all shards have in common; see `imageset.convert`."""

    root: str
    list_path: str
    record_format: imageset.RecordFormat
    backend: str = "lmdb"
    check_size: bool = False
    workers: int = 0
    directory: str = ""  # that relative paths start from on another node


@dataclasses.dataclass(frozen=True)
class Shard:
    """The database `folder` of `entries`, the first of which is number `first` of the list."""

    folder: str
    first: int
    entries: Sequence[listfile.Entry]


def convert(
    options: Options,
    entries: Sequence[listfile.Entry],
    db_path: str,
    count: int,
    only: int | None = None,
    ray: str = "",
) -> imageset.DatasetSummary:
    """Write the shards that do not exist, then the list of them as `db_path`.

    Parameters
    ----------
    options : Options
    entries : sequence of Entry
        The images of all shards.
    db_path : str
    count : int
        Number of shards.
    only : int, optional
        Write this shard and no list.
    ray : str
        Address of the Ray cluster that writes the shards ("local", "auto" or an address); "" for this process. The
        images and the folder of `db_path` must be at the same place on every node.

    Returns
    -------
    DatasetSummary
        Of the shards that were written now.

    Raises
    ------
    CaffeError
        If the numbers are wrong, `db_path` exists, a shard has no readable image or Ray fails.
    """
    if count > len(entries) or (only is not None and not 0 <= only < count):
        raise CaffeError(f"expected 1 to {len(entries)} shards, and a shard from 0 to {count - 1}")
    if os.path.lexists(db_path):
        raise CaffeError(f"'{db_path}' exists; remove it, or choose another DB_NAME")
    folders = [shard_list.shard_name(db_path, number, count) for number in range(count)]
    missing = [number for number in range(count) if only in (None, number) and not os.path.isdir(folders[number])]
    bounds = [number * len(entries) // count for number in range(count + 1)]

    def shards() -> Iterator[Shard]:
        for number in missing:
            first, end = bounds[number], bounds[number + 1]
            yield Shard(os.path.abspath(folders[number]) if ray else folders[number], first, entries[first:end])

    summary = imageset.DatasetSummary()
    for part in _on_ray(ray, options, shards(), len(missing)) if ray else (write(options, shard) for shard in shards()):
        summary.written += part.written
        summary.skipped += part.skipped
    if only is None:
        shard_list.write_list(db_path, folders)
    return summary


def write(options: Options, shard: Shard) -> imageset.DatasetSummary:
    """Write one shard; the same function runs in this process and as a task of Ray."""
    with create_db(shard.folder, options.backend) as writer:
        records = imageset.records(options.root, shard.entries, options.record_format, options.workers or cores())
        return imageset.write(
            records, writer, options.root, options.list_path, options.check_size, len(shard.entries), shard.first
        )


def _write_once(options: Options, shard: Shard) -> tuple[int, list[tuple[int, str, str]]]:
    """Write a shard on a node; a task that Ray repeats may find it written."""
    if os.path.isdir(shard.folder):
        return 0, []
    if not all(os.path.isabs(options.root + entry.path) for entry in shard.entries):
        _enter(options.directory)
    summary = write(options, shard)
    return summary.written, summary.skipped


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise CaffeError(
            f"node {platform.node()}: {directory}: {error.strerror}; start in a directory that all nodes share, or use "
            "absolute paths"
        ) from None


def _on_ray(address: str, options: Options, shards: Iterator[Shard], count: int) -> Iterator[imageset.DatasetSummary]:
    """Yield the summary of each shard as it is finished; a shard of a lost node runs on another one."""
    if not count:
        return
    threads = options.workers or 1
    options = dataclasses.replace(options, workers=threads, directory=os.getcwd())
    with ray_cluster.connected(address) as ray, Progress("convert_imageset", count, "shards") as progress:
        task = ray.remote(num_cpus=threads, max_retries=ray_cluster.RETRIES)(_write_once)
        slots = max(1, int(ray.cluster_resources().get("CPU", 0)) // threads)
        for shard, (written, skipped) in in_flight(ray, task, options, shards, ray_cluster.AHEAD * slots):
            if not os.path.isdir(shard.folder):
                raise CaffeError(
                    f"'{shard.folder}' was written by a node but is not here; DB_NAME must be in a directory that "
                    "all nodes share"
                )
            for line, path, reason in skipped:
                progress.clear()
                imageset.log_skipped(options.root, options.list_path, line, path, reason)
            progress.step()
            glog.info(f"Wrote {shard.folder}: {written} records.", "convert_imageset.cpp:150")
            yield imageset.DatasetSummary(written, skipped)


def in_flight(
    ray: Any, task: Any, options: Options, shards: Iterator[Shard], limit: int
) -> Iterator[tuple[Shard, tuple[int, list[tuple[int, str, str]]]]]:
    """Yield shards with the result of `task`, as they are finished; at most `limit` are handed out at a time.

    Raises
    ------
    CaffeError
        If a task fails, or its nodes are lost more often than Ray repeats it.
    """
    running: dict[Any, Shard] = {}
    more = True
    while more or running:
        while more and len(running) < limit:
            shard = next(shards, None)
            more = shard is not None
            if shard is not None:
                running[task.remote(options, shard)] = shard
        if not running:
            return
        (reference,), _ = ray.wait(list(running), num_returns=1)
        shard = running.pop(reference)
        try:
            yield shard, ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise CaffeError(f"{shard.folder}: {error.cause}") from None
        except ray.exceptions.RayError as error:
            raise CaffeError(f"{shard.folder}: {ray_cluster.last_line(error)}") from None
