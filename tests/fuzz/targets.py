"""Fuzzing targets: for each file format some valid files and its readers."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

import more_targets
import numpy as np
from fuzz_target import Target

from caffe.data import datum, listfile, mean
from caffe.data.convert import cifar, idx
from caffe.data.db import open_db
from caffe.device.transform import Transform
from caffe.proto import caffe_pb2, read, text
from caffe.solver import resume
from caffe.weights import snapshot

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden"


def _files(*patterns):
    return lambda: [
        path.read_bytes() for pattern in patterns for path in sorted(GOLDEN.glob(pattern)) if path.is_file()
    ]


SMALL_NET = b"""name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3
  pad: 1 stride: 2 group: 1 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.5 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "slice" type: "Slice" bottom: "pool" top: "a" top: "b" slice_param { axis: 1 slice_point: 2 } }
layer { name: "join" type: "Concat" bottom: "b" bottom: "a" top: "join" concat_param { axis: 1 } }
layer { name: "norm" type: "LRN" bottom: "join" top: "norm" lrn_param { local_size: 3 alpha: 1e-4 beta: 0.75 } }
layer { name: "flat" type: "Reshape" bottom: "norm" top: "flat" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


def _nets():
    """A net of each prototxt version."""
    return [*_files("tools/upgrade/v*.prototxt")(), SMALL_NET]


def build_net(path):
    """Read a net and build it, with layers, shapes and weights."""
    import caffe

    net = read.read_net(str(path))
    return caffe.Net.from_param(net.param, caffe.TEST, where=net.where)


def _solvers():
    fields = dict(net="net.prototxt", base_lr=0.01, lr_policy="multistep", stepvalue=[10, 20], gamma=0.1, max_iter=30)
    fields.update(test_iter=[3], test_interval=5, momentum=0.9, snapshot_prefix="x", type="Adam")
    legacy = b'net: "a"\nbase_lr: 0.1\nlr_policy: "step"\ngamma: 0.5\nstepsize: 3\n'
    legacy += b"solver_type: NESTEROV\nsolver_mode: GPU\n"
    return [text.format(caffe_pb2.SolverParameter(**fields)).encode(), legacy]


def _through_file(write, suffix=""):
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / ("file" + suffix))
        write(path)
        return Path(path).read_bytes()


def _hdf5():
    state = snapshot.read_solverstate(GOLDEN / "solvers" / "adam.solverstate")
    weights = snapshot.read_weights(GOLDEN / "solvers" / "adam.caffemodel")
    return [
        _through_file(lambda path: snapshot.write_solverstate(path, state), ".h5"),
        _through_file(lambda path: snapshot.write_hdf5(path, weights), ".h5"),
    ]


def _as_hdf5(reader):
    def read_renamed(path):
        return reader(path.rename(path.with_suffix(".h5")))

    return read_renamed


def _datums():
    import cv2

    array = np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4)
    png = cv2.imencode(".png", np.repeat(array, 4, 2).transpose(1, 2, 0).copy())[1].tobytes()
    jpeg = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    floats = datum.encode(array.astype(np.float32) / 7, 5)
    return [datum.encode(array, 3), floats, datum.encode(None, 2, png), datum.encode(None, 1, jpeg)]


def _decode(path):
    value = path.read_bytes()
    array, label = datum.decode(value)
    assert array.ndim == 3 and isinstance(label, int)


@functools.lru_cache(maxsize=1)
def _net():
    import caffe

    return caffe.Net.from_param(read.read_net_text(SMALL_NET.decode(), "small").param, caffe.TRAIN)


def _resumes():
    return [_through_file(lambda path: resume.save(path, {"train": _net()}, {"losses": [1.0, 2.5]}), ".resume.npz")]


def _lists():
    return [b"a.jpg 1\nb c.jpg 2\nd/e.png 30\n", b"x 0\n" * 20, "p\u00e9.jpg 7\r\nq.jpg -1\n".encode()]


def _idx():
    """An idx file is read as images and as labels; the other of the pair is sound."""
    images = (2051).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in (3, 2, 2)) + bytes(range(12))
    labels = (2049).to_bytes(4, "big") + (3).to_bytes(4, "big") + bytes(3)
    return [images, labels]


def _idx_images(path):
    (path.parent / "labels").write_bytes(_idx()[1])
    return idx.read(path, path.parent / "labels")


def _idx_labels(path):
    (path.parent / "images").write_bytes(_idx()[0])
    return idx.read(path.parent / "images", path)


def _cifar():
    return [bytes(cifar.RECORD) * 2]


def _transforms():
    mean_values = Transform(crop=5, order="RGB", mean=np.array([1.0, 2.0, 3.0], np.float32), scale=0.5)
    return [_through_file(mean_values.to_json, ".json")]


def _blobs():
    import importlib.util
    import sys

    sys.path[:0] = [str(TESTS), str(TESTS / "ncs")]
    spec = importlib.util.spec_from_file_location("synthetic_blobs", TESTS / "ncs" / "myriad" / "test_blob.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [module.synthetic_blob()]


def _blob(path):
    from ncs.myriad.blob import read_blob

    return read_blob(path)


def _leveldb(path):
    """Read a valid database with the damaged file as its tables, its log, and its manifest."""
    from caffe.errors import CaffeError

    valid, last_error = GOLDEN / "leveldb" / "db", None
    for pattern in ("*.ldb", "*.log", "MANIFEST-*"):
        folder = path.with_suffix(".{}".format(pattern.strip("*.-")))
        shutil.copytree(valid, folder)
        for file in folder.glob(pattern):
            file.write_bytes(path.read_bytes())
        try:
            with open_db(str(folder), "leveldb") as db:
                for _, value in zip(range(50), (value for _, value in db)):
                    assert isinstance(value, bytes)
        except CaffeError as error:
            last_error = error
    if last_error:
        raise last_error


def _onnx():
    import caffe
    from caffe.convert.onnx_export import model_bytes

    return [model_bytes(caffe.Net.from_param(read.read_net_text(SMALL_NET.decode(), "small").param, caffe.TEST))]


def _convert_onnx(path):
    from caffe.convert.onnx_import.importer import convert

    return convert(path)


def _wiki_mat():
    from scipy.io import savemat

    def write(path, compressed):
        paths = np.empty((1, 3), object)
        paths[0] = ["00/1_1980-01-01_2000.jpg", "00/2_1970-07-01_2001.jpg", "01/nm0000003_rm4_1960-1-1_1999.jpg"]
        row = [
            np.array([values])
            for values in ([723000.0] * 3, [2000, 2001, 1999], [0.0, 1.0, np.nan], [3.0, -np.inf, 2.0])
        ]
        table = dict(
            zip(("dob", "photo_taken", "gender", "face_score"), row), full_path=paths, second_face_score=row[3]
        )
        savemat(path, {"wiki": table}, do_compression=compressed)

    return [_through_file(lambda path, flag=flag: write(path, flag), ".mat") for flag in (False, True)]


def _read_wiki(path):
    from agegender.datasets import imdb_wiki

    return imdb_wiki.keep(imdb_wiki.read_mat(path))


def _folds():
    from agegender.datasets import adience

    lines = ["\t".join(adience.COLUMNS), "7@N0\ta.jpg\t12\t(0, 2)\tm\t1\t2\t3\t4\t-115\t30\t17"]
    return ["\n".join(lines + lines[1:]).encode()]


def _read_fold(path):
    from agegender.datasets import adience

    rows = adience.read_fold(path, 0)
    return [
        (adience.age_class(row, policy), adience.gender_class(row, policy))
        for row in rows
        for policy in adience.POLICIES
    ]


def _read_faces(path):
    from agegender.datasets import imdb_wiki

    return imdb_wiki.read_csv(path)


WEIGHTS = ("solvers/adam.caffemodel", "solvers/sgd.caffemodel")
TARGETS = {
    "prototxt": Target(_nets, (lambda path: read.read_net(str(path)),), True, 4),
    "net": Target(lambda: [SMALL_NET], (build_net,), True, 1),
    "solver": Target(_solvers, (lambda path: read.read_solver(str(path)),), True, 2),
    "caffemodel": Target(_files(*WEIGHTS), (snapshot.read_weights, read.read_net_binary), False, 4),
    "solverstate": Target(
        _files("solvers/adam.solverstate", "solvers/sgd.solverstate"), (snapshot.read_solverstate,), False, 2
    ),
    "binaryproto": Target(_files("tools/mean_gray.binaryproto"), (snapshot.read_blob, mean.read_mean), False, 2),
    "datum": Target(_datums, (_decode,), False, 3),
    "idx": Target(_idx, (_idx_images, _idx_labels), False, 2),
    "cifar": Target(_cifar, (lambda path: cifar._read(path, "train file"),), False, 2),
    "list": Target(_lists, (listfile.read,), True, 2),
    "resume": Target(_resumes, (lambda path: resume.load(str(path), {"train": _net()}),), False, 1),
    "hdf5": Target(_hdf5, (_as_hdf5(snapshot.read_weights), _as_hdf5(snapshot.read_solverstate)), False, 1),
    "transform": Target(_transforms, (Transform.from_json,), True, 1),
    "blob": Target(_blobs, (_blob,), False, 1),
    "onnx": Target(_onnx, (_convert_onnx,), False, 2),
    "mat": Target(_wiki_mat, (_read_wiki,), False, 2),
    "folds": Target(_folds, (_read_fold,), True, 1),
    "faces": Target(lambda: [b"genders,ages,img_paths\n1,28,17/a.jpg\n0,31,b.jpg\n"], (_read_faces,), True, 1),
    "leveldb": Target(_files("leveldb/db/*"), (_leveldb,), False, 1),
    **more_targets.TARGETS,
}
