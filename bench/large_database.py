#!/usr/bin/env python3
"""Sequential epochs of an LMDB that is larger than memory: throughput and bytes read from the disk per epoch.

The reader runs in a memory control group of a quarter of the database (cgroup v1 or v2, as root), and without a limit,
from the page cache. A limited epoch that reads more than the database's size would show that pages are evicted before
they are used.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _harness

RECORD = 227 * 227 * 3
GROUPS = (  # (root of the hierarchy, file with the limit)
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup", "memory.max"),
)


def main():
    parser = _harness.arguments(__doc__, rounds=2)
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the database (default 1024)")
    parser.add_argument("--read", nargs=2, metavar=("DB", "GROUP"), help="internal: read the database in this group")
    args = parser.parse_args()
    if args.read:
        print(json.dumps(read(*args.read, args.rounds)))
        return
    with tempfile.TemporaryDirectory() as folder, group(args.megabytes << 18) as limited:
        write(folder, args.megabytes)
        command = [sys.executable, __file__, "--rounds", str(args.rounds), "--read", folder]
        cases = {"unlimited": "", **({"limited": limited} if limited else {})}
        epochs = {name: json.loads(subprocess.check_output([*command, path])) for name, path in cases.items()}
    missing = [] if limited else [_harness.missing_baseline("limited", "no writable memory control group")]
    for name, rows in epochs.items():
        print(name, *(f"{row['MB/s']:.0f} MB/s ({row['read'] / args.megabytes:.2f} read)" for row in rows))
    _harness.save("large_database", megabytes=args.megabytes, epochs=epochs, missing=missing)


@contextlib.contextmanager
def group(limit):
    """Create a control group with this limit in bytes; yield its folder, or None where that is not possible."""
    for root, name in GROUPS:
        path = Path(root, f"caffe-bench-{os.getpid()}")
        try:
            path.mkdir()
            (path / name).write_text(str(limit))
        except OSError:
            with contextlib.suppress(OSError):
                path.rmdir()
            continue
        try:
            yield str(path)
        finally:
            path.rmdir()
        return
    yield None


def write(folder, megabytes):
    from caffe.data.db.lmdb import LmdbWriter

    pixels = os.urandom(RECORD + 8192)
    with LmdbWriter(folder) as writer:
        for index in range((megabytes << 20) // RECORD):
            writer.put(b"%08d" % index, pixels[index % 8192 : index % 8192 + RECORD])


def read(folder, group_path, epochs):
    """Read the database `epochs` times; return one row per epoch."""
    from caffe.data.db import open_db

    if group_path:
        Path(group_path, "cgroup.procs").write_text(str(os.getpid()))
    with open(os.path.join(folder, "data.mdb"), "rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    rows = []
    with open_db(folder) as database:
        for _ in range(epochs):
            start, before, cpu = time.perf_counter(), disk_bytes(), cpu_seconds()
            size = sum(len(value) for _, value in database) / 1e6
            seconds = time.perf_counter() - start
            row = {"MB/s": size / seconds, "read": (disk_bytes() - before) / 2**20, "cpu": cpu_seconds() - cpu}
            rows.append(row)
    return rows


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def disk_bytes():
    """Return the bytes that this process has made the system read from a disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


if __name__ == "__main__":
    main()
