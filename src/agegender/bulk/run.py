"""`agegender predict -o DIR`: plans the shards, runs what is missing, says what it did."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from agegender.bulk import engine, rows, shards, worker
from agegender.inference import image_files
from caffe.utils.cli.progress import clock_text
from caffe.utils.hashing import sha256_or_none

SAMPLE = 64  # images that a dry run predicts


def predict_all(args: Any, settings: dict[str, Any], factory: Callable[[dict[str, Any]], Any]) -> None:
    """Write the predictions of all images as shards; those that exist are skipped.

    Parameters
    ----------
    args : argparse.Namespace
        `list` or `image_path`, `shards` (the directory), `shard`, `workers`, `ray`, `dry_run`.
    settings : dict
        Everything that determines a prediction.
    factory : callable
        See `Worker`.

    Raises
    ------
    AgeGenderError
        If options contradict each other, no image is named, or the directory has shards of another run.
    """
    if args.shard < 1 or (args.workers is not None and args.workers < 1):
        raise image_files.failure(image_files.WRONG_OPTIONS, "--shard and --workers must be at least 1")
    images = _images(args)
    kind = rows.suffix()
    plan = images.shards(args.shard, {**settings, "nets": _digests(settings)})
    missing = shards.pending(args.shards, plan, kind)
    total = sum(shard.count for shard in plan)
    print(f"{total} images in {len(plan)} shards of {args.shard}; {len(plan) - len(missing)} are done", file=sys.stderr)
    if args.dry_run:
        _estimate(images, missing, settings, factory, kind, args)
        return
    if missing:
        engine.write_all(args.shards, kind, total, missing, _results(args, settings, factory, images, kind))
    print(f"{args.shards}: {len(plan)} shards")


def _results(args, settings, factory, images, kind):
    if args.ray:
        return engine.on_ray(args.ray, args.workers or 0, factory, settings, images, kind)
    if (args.workers or 1) > 1:
        return engine.in_processes(args.workers, factory, settings, images, kind)
    return engine.in_this_process(factory, settings, images, kind)


def _images(args):
    if args.list:
        return shards.Images(list_path=args.list)
    names: list[str] = []
    for argument in args.image_path:
        if worker.is_address(argument):
            names += worker.find_addresses(argument)
        else:
            names += image_files.find_images([argument])
    return shards.Images(names=names)


def _digests(settings):
    """Return a digest of the manifests and the mean in use: a net that is compiled again makes other shards."""
    folder, names = settings["model_dir"], settings["net"] or settings["model"] or ("AgeNet", "GenderNet")
    digest = hashlib.sha256()
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        stem = name[:-5]
        if name.endswith(".json") and any(stem == net or stem.startswith(net + "-") for net in names):
            with open(os.path.join(folder, name), "rb") as stream:
                digest.update(stream.read())
    if settings["mean_file"]:
        digest.update(str(sha256_or_none(settings["mean_file"])).encode())
    return digest.hexdigest()


def _estimate(images, missing, settings, factory, kind, args):
    """Predict a few images and print how long the rest takes and how large the shards get."""
    if not missing:
        return
    sample = images.of(missing[0])[:SAMPLE]
    one = worker.Worker(factory, settings)
    try:
        one.run(sample[:4], kind)  # the first images are slow
        began = time.perf_counter()
        content = one.run(sample, kind)
        seconds = (time.perf_counter() - began) / len(sample)
    finally:
        one.close()
    count = sum(shard.count for shard in missing)
    workers = args.workers or 1
    for shard in missing[:3]:
        print(f"{shard.name(kind)}: images {shard.first} to {shard.first + shard.count - 1}")
    if len(missing) > 3:
        print(f"... {len(missing) - 3} more")
    size = len(content) / len(sample) * count / 1e6
    print(
        f"{1e3 * seconds:.1f} ms per image: {clock_text(seconds * count / workers)} with {workers} "
        f"process{'es' if workers > 1 else ''}, about {size:.0f} MB"
    )
