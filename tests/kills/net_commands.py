"""More commands that write, most of which run nets: predictions, evaluations, experiments, and tasks of the workbench."""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import tempfile
from pathlib import Path

import commands as base
import cv2
import numpy as np
from support import compiled_nets, synthetic_adience, workbench_root

from agegender.inference.labels import AGE_TRINGN

AGEGENDER, NCS, CAFFE = base.AGEGENDER, base.NCS, base.CAFFE
TASKS = "agegender.workbench.tasks."
XML = """<annotation><size><width>16</width><height>16</height></size><object><name>%d</name><bndbox>
<xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"""


def once(write):
    """Return a function that copies what `write(folder)` writes; it runs once, since nets are slow to train."""

    @functools.cache
    def made():
        holder = tempfile.TemporaryDirectory(prefix="kills-")
        with contextlib.redirect_stdout(io.StringIO()):
            write(Path(holder.name))
        return holder

    return lambda folder, seed=0: shutil.copytree(made().name, folder, dirs_exist_ok=True, symlinks=True)


root = once(lambda folder: workbench_root.write_root(str(folder)))


def trained(folder, seed=0):
    """Write the workbench's small root; another seed takes the snapshot of an earlier iteration for the last one."""
    root(folder)
    if seed:
        shutil.copyfile(folder / "models/demo/train_iter_10.caffemodel", folder / SNAPSHOT)


SNAPSHOT = "models/demo/train_iter_20.caffemodel"
NET, DEMO = "models/demo/train_val.prototxt", ("--net", "models/demo/train_val.prototxt", "--weights", SNAPSHOT)
DATABASE = "data/lmdb/age_test_lmdb"


def hdf5_training(folder):
    """Write the solver of `train` with snapshots in HDF5."""
    base.training(folder)
    with open(folder / "s.prototxt", "a") as stream:
        stream.write("snapshot_format: HDF5\n")


def annotated(folder, seed=0):
    """Write images, annotations and a list of them."""
    base.images(folder, seed)
    for i in range(6):
        (folder / f"{i}.xml").write_text(XML % (1 + i % 2))
    (folder / "list.txt").write_text("".join(f"{i}.png {i}.xml\n" for i in range(6)))
    item = 'item { name: "%d" label: %d display_name: "%d" }\n'
    (folder / "map.prototxt").write_text("".join(item % (i, i, i) for i in range(3)))


def graph(folder, seed=0):
    """Write a small compiled AgeNet and GenderNet, images and a list of them."""
    (folder / "graph").mkdir(exist_ok=True)
    mean = np.full((3, 20, 20), 110, np.float32)
    compiled_nets.compile_nets(
        folder / "graph",
        compiled_nets.transform(mean),
        {"AgeNet": list(AGE_TRINGN.names), "GenderNet": ["Male", "Female"]},
        5 + 10 * seed,
    )
    base.images(folder)
    (folder / "images.txt").write_text("".join(f"{i}.png\n" for i in range(6)))


def labelled(folder, seed=0):
    """Write compiled nets, a folder of faces, and a mean."""
    graph(folder, seed)
    base.faces(folder)


def adience(folder, seed=0):
    """Write faces and fold files as Adience's; another seed exchanges two of the fold files."""
    if seed:
        files = [folder / "folds" / f"fold_{i}_data.txt" for i in (0, 1)]
        texts = [file.read_text() for file in files]
        for file, text in zip(files, reversed(texts)):
            file.write_text(text)
    else:
        synthetic_adience.make(folder)


def adience_training(folder, seed=0):
    """Write Adience and small nets; another seed changes the learning rate."""
    if not seed:
        adience(folder)
    nets = folder / "nets"
    nets.mkdir(exist_ok=True)
    for name, classes in (("AgeNet", 8), ("GenderNet", 2)):
        (nets / f"{name}_train_val.prototxt").write_text(ADIENCE_NET % classes)
        (nets / f"{name}_solver.prototxt").write_text(ADIENCE_SOLVER % (0.00001 * (1 + seed)))


ADIENCE_NET = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 227 mirror: true mean_file: "x" } data_param { source: "x" backend: LMDB batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 227 mean_file: "x" } data_param { source: "x" backend: LMDB batch_size: 4 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 40 stride: 40 } }
layer { name: "fc8" type: "InnerProduct" bottom: "pool" top: "fc8"
  inner_product_param { num_output: %d weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""
ADIENCE_SOLVER = """net: "x" test_iter: 1 test_interval: 1000 base_lr: %f lr_policy: "fixed" momentum: 0.9
display: 0 max_iter: 3 snapshot: 1000 snapshot_prefix: "x" random_seed: 3 solver_mode: CPU"""


def wiki(folder, seed=0):
    """Write images of IMDB-WIKI and a table of them."""
    crop = folder / "data/wiki_crop/00"
    crop.mkdir(parents=True, exist_ok=True)
    lines = ["genders,ages,img_paths"]
    for i in range(8):
        name = f"{i}_1980-01-01_2000.png"
        cv2.imwrite(str(crop / name), np.full((20, 30, 3), (i, 9, 7 + seed), np.uint8))
        lines.append(f"{i % 2},{20 + i},00/{name}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n")


def same(folder, seed=0):
    """No change of the inputs."""


_of = base.of
PREDICT = ("--model-dir", "graph", "--device", "CPU", "--no-framing-check")
EXPERIMENT = ("--faces", "faces", "--threads", "1")
CROSSVAL = ("--folds", "folds", "--images", "aligned", "--prototxt", "nets", "--threads", "1", "--test_fold", "0")
CASES = {
    case.name: case
    for case in (
        base.Case(
            *("train-hdf5", (CAFFE, "train", "--solver=s.prototxt", "--resume"), hdf5_training, same),
            may_vanish=True,
        ),
        base.Case(
            "extract_features",
            (CAFFE, "extract_features", SNAPSHOT, NET, "fc,conv1", "features,conv", "2", "lmdb"),
            *(trained, same),
            folders=["features", "conv"],
            once=True,
        ),
        _of(
            *("convert_annoset", CAFFE, "--label_map_file=map.prototxt", "./", "list.txt", "db"),
            **dict(prepare=annotated, folders=["db"], again=["--overwrite"]),
        ),
        _of(
            *("convert_mnist_siamese_data", CAFFE, "images", "labels", "db"),
            **dict(prepare=base.idx, folders=["db"], again=["-overwrite"]),
        ),
        _of(
            *(
                "test",
                AGEGENDER,
                "AgeNet",
                "--proto",
                NET,
                "--weights",
                SNAPSHOT,
                "--mean",
                "data/mean/mean.binaryproto",
            ),
            *("--lmdb", DATABASE, "--report", "report"),
            **dict(prepare=trained, folders=["report"]),
        ),
        _of(
            "predict",
            AGEGENDER,
            "--image_path",
            "0.png",
            "1.png",
            *PREDICT,
            "--csv",
            "t.csv",
            "--output",
            "drawn",
            prepare=graph,
        ),  # fmt: skip
        base.Case(
            "predict-shards",
            (AGEGENDER, "predict", "--list", "images.txt", "-o", "shards", "--shard", "2", *PREDICT),
            *(graph, same),
        ),
        base.Case(
            "predict-first-use",
            (
                AGEGENDER,
                "predict",
                "--list",
                "images.txt",
                "-o",
                "shards",
                "--shard",
                "4",
                "--model",
                "compact-dlib",
                *PREDICT,
            ),
            *(base.images, lambda folder: (folder / "images.txt").write_text("0.png\n1.png\n")),
            sets=["graph/*[!t]"],  # not the .prototxt, from which the others are made
            read=base.read_manifests,
        ),  # fmt: skip
        _of(
            *("evaluate", AGEGENDER, "--collection", "faces", *PREDICT[:4], "--json", "all.json", "--out", "all.md"),
            prepare=labelled,
        ),
        _of(
            "adience",
            AGEGENDER,
            "lists",
            "--folds",
            "folds",
            "--out",
            "lists",
            prepare=adience,
            folders=[f"lists/test_fold_is_{i}" for i in range(5)],
        ),  # fmt: skip
        _of(
            *("adience", AGEGENDER, "crossval", *CROSSVAL),
            **dict(prepare=adience_training, may_vanish=True, title="adience-crossval"),
        ),
        _of(
            *("imdb-wiki", AGEGENDER, "create-db", "--meta", "m.csv", "--validation_split", "0.3"),
            **dict(prepare=wiki, folders=["data/wiki_train_lmdb", "data/wiki_val_lmdb"]),
        ),
        base.Case(
            "experiment",
            (AGEGENDER, "experiment", "compact:2", *EXPERIMENT, "--out", "table.md"),
            *(base.faces, same),
            may_vanish=True,
        ),
        base.Case("run", (AGEGENDER, "run", "--count", "60", "--iterations", "2"), *(same, same), may_vanish=True),
        base.Case(
            "quantize",
            (NCS, "quantize", "graph/age.json", "--lmdb", DATABASE, "--count", "6"),
            *(trained, same),
            sets=["graph/age_int8*"],
            read=base.read_manifests,
        ),
        _of(
            "workbench-evaluate",
            TASKS + "evaluate",
            *DEMO,
            "--database",
            DATABASE,
            "--out",
            "report",
            prepare=trained,
            folders=["report"],
            verb=False,
        ),  # fmt: skip
        _of(
            "workbench-split", TASKS + "split", "--list", "list.txt", "--out", "lists", prepare=base.images, verb=False
        ),
        _of("workbench-index", TASKS + "index", "db", "index.npz", prepare=base.lmdb, verb=False),
    )
}
