"""The files that `--target oak` adds: superblobs and NN Archives."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncs.compiler.compile import Options
    from ncs.runtime.manifest import Manifest


def write_superblobs(models: Sequence[tuple[str, str]], options: Options, say: Callable[[str], None] = print) -> None:
    """Write stem.superblob for every (model file, stem) if the options request it."""
    if not options.superblob:
        return
    from ncs.myriad import compiler, superblob

    for path, stem in models:
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
            every = dataclasses.replace(options, shave_counts=tuple(superblob.COUNTS), cmx_slices=None)
            jobs = every.jobs(path, os.path.join(scratch, "net"))
            compiler.compile_blobs(jobs, say)
            blobs = {}
            for count, job in zip(superblob.COUNTS, jobs):
                with open(job.output, "rb") as stream:
                    blobs[count] = stream.read()
        superblob.write_superblob(stem + ".superblob", blobs)


def write_nn_archive(options: Options, stem: str, name: str, manifest: Manifest | None, order: str = "BGR") -> None:
    """Write stem.tar.xz if the options request it, and add it and the superblob to the manifest."""
    many = stem + ".superblob" if options.superblob else None
    if options.nn_archive:
        from ncs.compiler import nn_archive

        blob = options.blobs(stem)[0][1]
        nn_archive.write_nn_archive(stem + ".tar.xz", blob, name, manifest, order, many)
    if manifest is not None:
        if many:
            manifest.add("superblob", many)
        if options.nn_archive:
            manifest.add("nn_archive", stem + ".tar.xz")
