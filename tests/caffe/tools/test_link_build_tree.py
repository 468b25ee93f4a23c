"""`caffe link_build_tree`: a script written as Caffe's examples/mnist/create_mnist.sh runs unchanged."""

import os
import struct
import subprocess

from caffe.data.db import open_db
from caffe.tools import main

SCRIPT = """#!/usr/bin/env sh
set -e
EXAMPLE=examples/mnist
DATA=data/mnist
BUILD=build/examples/mnist
BACKEND="lmdb"
rm -rf $EXAMPLE/mnist_train_${BACKEND}
$BUILD/convert_mnist_data.bin $DATA/images $DATA/labels $EXAMPLE/mnist_train_${BACKEND} --backend=${BACKEND}
./build/tools/compute_image_mean -backend=lmdb $EXAMPLE/mnist_train_lmdb mean.binaryproto
./build/tools/caffe device_query
"""


def test_scripts_of_caffe_run(tmp_path, capsys):
    assert main(["link_build_tree", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("24 programs in ")
    for folder in ("examples/mnist", "data/mnist"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/mnist/images").write_bytes(struct.pack(">4I", 2051, 2, 1, 1) + b"ab")
    (tmp_path / "data/mnist/labels").write_bytes(struct.pack(">2I", 2049, 2) + b"\1\2")
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the current directory ran')")
    (tmp_path / "create.sh").write_text(SCRIPT)
    result = subprocess.run(["sh", "create.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with open_db(tmp_path / "examples/mnist/mnist_train_lmdb") as db:
        assert len(db) == 2
    assert (tmp_path / "mean.binaryproto").exists()


def test_a_real_build_is_kept(tmp_path, capsys):
    (tmp_path / "build/tools").mkdir(parents=True)
    (tmp_path / "build/tools/caffe.bin").write_bytes(b"\x7fELF")
    assert main(["link_build_tree", str(tmp_path)]) == 1
    assert "Nothing is changed" in capsys.readouterr().err
    assert os.listdir(tmp_path / "build/tools") == ["caffe.bin"]
    (tmp_path / "build/tools/caffe.bin").unlink()
    assert main(["link_build_tree", str(tmp_path)]) == 0 == main(["link_build_tree", str(tmp_path)])
