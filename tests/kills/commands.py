"""Commands that write: their inputs, a first run, changed inputs, and what the command then replaces."""

from __future__ import annotations

import dataclasses
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from support.small_solvers import database, dropout_net, solver_text

from ncs.runtime.manifest import Manifest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CAFFE, AGEGENDER, NCS = "caffe.tools", "agegender.cli", "ncs.cli"


@dataclasses.dataclass
class Case:
    """A command, (package, arguments...), that is killed.

    `prepare(folder)` writes its inputs, `before` are commands that run then (usually the command itself), and
    `change(folder)` changes the inputs. `folders` are replaced as a whole. With `may_vanish`, old files may be missing
    after a kill, because they are deleted before new work begins. `sets` are groups of files, as patterns, whose files
    are all old or all new; `read(folder)` reads them as a program does, which may complete an interrupted replacement.
    With `once`, the command refuses its own output, which is then deleted before the second run.
    """

    name: str
    command: Sequence[str]
    prepare: Callable[[Path], object]
    change: Callable[[Path], object]
    before: Sequence[Sequence[str]] = ()
    folders: Sequence[str] = ()
    may_vanish: bool = False
    once: bool = False
    sets: Sequence[str] = ()
    read: Callable[[Path], object] = lambda folder: None


def images(folder, seed=0):
    """Write six small images and a list of them."""
    noise = np.random.default_rng(seed)
    for i in range(6):
        cv2.imwrite(str(folder / f"{i}.png"), noise.integers(0, 256, (16, 16, 3), np.uint8))
    (folder / "list.txt").write_text("".join(f"{i}.png {(i + seed) % 3}\n" for i in range(6)))


def faces(folder, seed=0):
    """Write small images named as UTKFace names its faces."""
    noise = np.random.default_rng(seed)
    (folder / "faces").mkdir(exist_ok=True)
    for i in range(12):
        name = f"{5 + 9 * (i % 6)}_{i % 2}_2_{20170101000000000 + seed * 100 + i}.jpg.chip.jpg"
        cv2.imwrite(str(folder / "faces" / name), noise.integers(0, 256, (16, 16, 3), np.uint8))
    shutil.copyfile(folder / "faces" / name, folder / "faces" / f"40_0_2_{20170102000000000 + seed}.jpg.chip.jpg")


def lmdb(folder, seed=0, name="db"):
    """Write a database; an existing one is replaced."""
    shutil.rmtree(folder / name, ignore_errors=True)
    database(folder / name, 7, seed=seed)


def archive(folder, seed=0):
    """Pack faces into faces.tar."""
    faces(folder, seed)
    with tarfile.open(folder / "faces.tar", "w") as stream:
        stream.add(folder / "faces", "faces")
    shutil.rmtree(folder / "faces")


def idx(folder, seed=0):
    """Write images and labels as MNIST's files."""
    noise = np.random.default_rng(seed)
    head = b"".join(n.to_bytes(4, "big") for n in (2051, 5, 4, 4))
    (folder / "images").write_bytes(head + noise.bytes(80))
    (folder / "labels").write_bytes((2049).to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes(range(5)))


def cifar(folder, seed=0):
    """Write the binary files of CIFAR-10, two images each."""
    noise = np.random.default_rng(seed)
    (folder / "out").mkdir(exist_ok=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (folder / f"{name}.bin").write_bytes(b"".join(bytes([i]) + noise.bytes(3072) for i in range(2)))


def net_text(folder, name="v0.in.prototxt"):
    """Write a net of an old version."""
    shutil.copyfile(GOLDEN / "tools" / "upgrade" / name, folder / "net.prototxt")


def training(folder, rate=0.05):
    """Write a database, a net and a solver of three snapshots; a changed rate makes old snapshots stale."""
    lmdb(folder)
    (folder / "net.prototxt").write_text(dropout_net("db"))
    text = solver_text("@", snapshot=2).replace("@/", "").replace("max_iter: 100", "max_iter: 6")
    (folder / "s.prototxt").write_text(text.replace("base_lr: 0.05", f"base_lr: {rate}"))


def log(folder, seed=0):
    """Write a training log."""
    line = "I0101 00:00:0{0}.000000  1 solver.cpp:{1}] "
    text = line.format(0, "279") + "Solving \n"
    text += "".join(
        line.format(i, "239")
        + f"Iteration {i * 10} (1 iter/s, 1s/10 iters), loss = {seed + i}\n"
        + line.format(i, "258")
        + f"    Train net output #0: loss = {seed + i} (* 1 = {seed + i} loss)\n"
        + line.format(i, "112")
        + f"Iteration {i * 10}, lr = 0.1\n"
        for i in range(5)
    )
    (folder / "train.txt").write_text(text)


def nets(folder, seed=0):
    """Write a small net as prototxt; the seed changes its size."""
    layer = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
    layer += (
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: %d } }\n'
    )
    layer += 'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }\n'
    for name, outputs in (("net", 2 + seed), ("larger", 5)):
        (folder / f"{name}.prototxt").write_text(layer % outputs)


def read_manifests(folder):
    """Read all manifests and run nothing of which a file is not the manifest's."""
    names = {path.name for path in folder.glob("graph/*.json")}
    names |= {path.name[1:].replace(".replacing", ".json") for path in folder.glob("graph/.*.replacing")}
    for name in names:
        manifest = Manifest.read(folder / "graph" / name)
        for kind in manifest.artefacts:
            manifest.path(kind)


def of(name, package, *command, prepare, folders=(), again=(), **more):
    """Return a case whose first run is the command itself, on inputs of seed 0; `again` are arguments to replace.

    `title` is the case's name if it is not the verb's. Without `verb`, the package itself is the command.
    """
    full = (package, *((name,) if more.pop("verb", True) else ()), *command)
    change = more.pop("change", lambda folder: prepare(folder, 1))
    return Case(more.pop("title", name), (*full, *again), prepare, change, more.pop("before", (full,)), folders, **more)


RESIZE = ("-resize_height=8", "-resize_width=8")
CASES = {
    case.name: case
    for case in (
        of(
            "convert_imageset",
            CAFFE,
            *RESIZE,
            "./",
            "list.txt",
            "db",
            prepare=images,
            folders=["db"],
            again=["-overwrite"],
        ),
        of("compute_image_mean", CAFFE, "db", "mean.binaryproto", prepare=lmdb),
        of("merge_db", CAFFE, "merged", "db", prepare=lmdb, folders=["merged"], again=["--overwrite"]),
        of("convert_mnist_data", CAFFE, "images", "labels", "db", prepare=idx, folders=["db"], again=["-overwrite"]),
        of(
            *("convert_cifar_data", CAFFE, ".", "out", "lmdb"),
            **dict(prepare=cifar, folders=["out/cifar10_train_lmdb", "out/cifar10_test_lmdb"], again=["-overwrite"]),
        ),
        of("upgrade_net_proto_text", CAFFE, "net.prototxt", "new.prototxt", prepare=net_text, change=nets),
        of("parse_log", CAFFE, "train.txt", ".", prepare=log),
        of(
            *("train", CAFFE, "--solver=s.prototxt"),
            **dict(prepare=training, change=lambda folder: None, before=(), again=["--resume"], may_vanish=True),
        ),
        of("download", AGEGENDER, "--from", "faces.tar", "--out", "faces", prepare=archive, folders=["faces"]),
        of(
            *("synthesize-faces", AGEGENDER, "--out", "made", "--count", "20", "--jobs", "1"),
            **dict(prepare=lambda folder: None, change=lambda folder: None, folders=["made"], again=["--seed", "2"]),
        ),
        of(
            *("build-dataset", AGEGENDER, "--faces", "faces", "--jobs", "1"),
            **dict(prepare=faces, folders=["data/DEF", "data/overSampling"]),
        ),
        Case(
            *("create-lmdb", (AGEGENDER, "create-lmdb", "--size", "8", "--workers", "1"), faces),
            change=lambda folder: shutil.copyfile(folder / "data/DEF/age_test.txt", folder / "data/DEF/age_train.txt"),
            before=((AGEGENDER, "build-dataset", "--faces", "faces"), (AGEGENDER, "create-lmdb", "--size", "8")),
            folders=[f"data/lmdb/{task}_{part}_lmdb" for task in ("age", "gender") for part in ("train", "test")],
        ),
        of("create-mean", AGEGENDER, "--lmdb", "db", "--npy", "mean.npy", prepare=lmdb),
        of("find-duplicates", AGEGENDER, "--faces", "faces", "--csv", "pairs.csv", "--jobs", "1", prepare=faces),
        of(
            "compile",
            NCS,
            "net.prototxt",
            "-o",
            "graph/net",
            "--no-blob",
            prepare=nets,
            sets=["graph/*"],
            read=read_manifests,
        ),
        Case(
            *("bundle", (NCS, "bundle", "graph/net.json", "-o", "bundle"), nets),
            change=lambda folder: None,
            before=(
                (NCS, "compile", "net.prototxt", "-o", "graph/net", "--no-blob"),
                (NCS, "bundle", "graph/net.json", "-o", "bundle"),
                (NCS, "compile", "larger.prototxt", "-o", "graph/net", "--no-blob"),
            ),
            folders=["bundle"],
        ),
    )
}
