"""Read an archive of DIGITS or of the workbench into a run's folder: deploy net, snapshot, labels and mean."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tempfile
from typing import Any

from agegender.errors import AgeGenderError
from agegender.workbench.tasks import run_files
from caffe.proto.read import read_net
from caffe.utils.atomic_io import atomic_folder
from caffe.utils.safe_extract import unpack

MAX_BYTES, MAX_FILES, MAX_INFO = 2 << 30, 100, 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,120}")


def main(argv: list[str]) -> None:
    """Unpack the archive, check its parts and write the folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("archive")
    parser.add_argument("--out", required=True)
    args = parser.parse_args(argv)
    if os.path.lexists(args.out):
        raise AgeGenderError(f"{args.out} exists; choose another name")
    try:
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            names = unpack(args.archive, folder, lambda name: bool(_NAME.fullmatch(name)), MAX_BYTES, MAX_FILES)
            info = _info(folder) if "info.json" in names else _guess(names)
            write(folder, info, args.out)
    finally:
        shutil.rmtree(os.path.dirname(args.archive), ignore_errors=True)
    print(f"{args.out}: {info.get('name') or 'a model'} from the archive")


def _info(folder: str) -> dict[str, Any]:
    path = os.path.join(folder, "info.json")
    if os.path.getsize(path) > MAX_INFO:
        raise AgeGenderError(f"info.json: expected at most {MAX_INFO} bytes")
    try:
        with open(path, encoding="utf-8") as stream:
            info = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise AgeGenderError(f"info.json: {error}") from None
    if not isinstance(info, dict) or info.get("framework", "caffe") != "caffe":
        raise AgeGenderError("info.json: expected a model of the framework caffe")
    return info


def _guess(names: list[str]) -> dict[str, Any]:
    """Return the files of an archive without info.json by their names."""
    info: dict[str, Any] = {}
    for name in names:
        if name.endswith(".caffemodel"):
            info["snapshot file"] = name
        elif "deploy" in name and name.endswith(".prototxt"):
            info["deploy file"] = name
    return info


def write(folder: str, info: dict[str, Any], target: str) -> None:
    """Write the model of an unpacked archive to `target`."""
    deploy = _path(folder, info, "deploy file", "model file")
    weights = _path(folder, info, "snapshot file", "weights file")
    if deploy is None or weights is None:
        raise AgeGenderError('the archive has no "deploy file" or no "snapshot file"')
    param = read_net(deploy).param
    run_files.refuse_unsafe(param)
    match = re.search(r"iter_(\d+)", os.path.basename(weights))
    with atomic_folder(target) as temporary:
        shutil.copyfile(deploy, os.path.join(temporary, "deploy.prototxt"))
        shutil.copyfile(weights, os.path.join(temporary, f"snapshot_iter_{match.group(1) if match else 0}.caffemodel"))
        train_val = _path(folder, info, "train_val file", "network file")
        if train_val is not None:
            run_files.refuse_unsafe(read_net(train_val).param)
            shutil.copyfile(train_val, os.path.join(temporary, "train_val.prototxt"))
        for name, kind in (("labels.txt", "labels file"), ("mean.binaryproto", "mean file")):
            path = _path(folder, info, kind)
            if path is not None:
                shutil.copyfile(path, os.path.join(temporary, name))


def _path(folder: str, info: dict[str, Any], *kinds: str) -> str | None:
    """Return the unpacked file of the first kind that info.json names."""
    for kind in kinds:
        name = info.get(kind)
        if isinstance(name, str) and _NAME.fullmatch(name) and os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    return None
