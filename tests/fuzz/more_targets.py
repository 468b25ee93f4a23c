"""Further fuzzing targets: databases, images, archives, models of other tools, annotations, settings and requests."""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from fuzz_target import Target

from caffe.data import hdf5_reader, mean
from caffe.data.boxes import annotations
from caffe.data.db import create_db, open_db
from caffe.device import image_file, image_header
from caffe.solver import train_log
from caffe.utils import npy_file, safe_extract

TESTS = Path(__file__).resolve().parents[1]


def _written(write, name):
    """Return the bytes of the file `name` below the folder that `write` receives."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return (Path(folder) / name).read_bytes()


def _lmdbs():
    def write(folder, count):
        with create_db(str(folder / "db")) as db:
            for i in range(count):
                db.put(b"%08d" % i, bytes([i % 256]) * (3000 if i % 7 == 0 else 20))

    return [_written(lambda folder, count=count: write(folder, count), "db/data.mdb") for count in (2, 200)]


def _lmdb(path):
    folder = path.with_name("db")
    folder.mkdir()
    path.rename(folder / "data.mdb")
    with open_db(str(folder), "lmdb") as db:
        for _, (key, value) in zip(range(50), db):
            assert isinstance(bytes(key) + bytes(value), bytes)


def _images():
    import cv2

    pixels = np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3)
    suffixes = (".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm", ".jp2", ".gif", ".hdr", ".ras", ".avif")
    found = []
    for suffix in suffixes:
        try:
            done, data = cv2.imencode(suffix, pixels.astype(np.float32) if suffix == ".hdr" else pixels)
        except cv2.error:  # a format that this build of OpenCV lacks
            continue
        found += [data.tobytes()] if done and isinstance(data, np.ndarray) else []
    return found


def _header(path):
    data = path.read_bytes()
    image_header.image_size(data)
    image_header.jpeg_is_complete(data)


def _npys():
    found = []
    for array in (np.zeros((3, 4, 4), np.float32), np.arange(6).reshape(2, 3), np.ones(3, ">f8")):
        stream = io.BytesIO()
        np.save(stream, array)
        found.append(stream.getvalue())
    return found


def _as(suffix, reader):
    """Return a reader of the file under a name that ends in `suffix`."""
    return lambda path: reader(path.rename(path.with_suffix(suffix)))


def _manifest(path):
    from ncs.runtime.manifest import Manifest

    return Manifest.read(path)


def _manifests():
    from caffe.device.transform import Transform
    from ncs.runtime.manifest import Head, Input, Manifest

    transform = Transform(size=(4, 4), mean=[1.0, 2.0, 3.0])
    one = Manifest("a", "data", (1, 3, 4, 4), "prob", transform, ["x", "y"], tools={"caffe2ncs": "1"})
    heads = [Head("a", "prob", ["x", "y"]), Head("b", "age", ["0-9"], temperature=1.5)]
    inputs = [Input("data", (1, 3, 4, 4), transform), Input("more", (1, 3, 4, 4), transform)]
    two = Manifest("a", "data", (1, 3, 4, 4), "prob", transform, ["x", "y"], heads=heads, inputs=inputs)
    return [_written(lambda folder, m=m: m.write(folder / "m.json"), "m.json") for m in (one, two)]


def _synthetic_blob():
    import targets

    return targets._blobs()[0]


def _blob_archives():
    from ncs.myriad.archive import write_archive

    def write(folder):
        (folder / "a.blob").write_bytes(_synthetic_blob())
        write_archive(folder / "x.blobs", [("a", str(folder / "a.blob"))])

    return [_written(write, "x.blobs")]


def _read_blobs(path):
    from ncs.myriad.archive import read_blobs

    return read_blobs(path)


def _superblobs():
    from ncs.myriad import superblob

    blobs = {count: bytes(range(200)) + bytes([count]) * count for count in superblob.COUNTS}
    return [_written(lambda folder: superblob.write_superblob(folder / "x", blobs), "x")]


def _superblob(path):
    from ncs.myriad import superblob

    for shaves in (8, 1, 16):
        superblob.read_superblob(path, shaves)


IR = b"""<?xml version="1.0"?><net name="a" version="11"><layers>
<layer id="0" name="data" type="Parameter" version="opset1"><data shape="1,3,4,4" element_type="f32"/>
<output><port id="0" precision="FP32" names="data"><dim>1</dim><dim>3</dim><dim>4</dim><dim>4</dim></port></output></layer>
<layer id="1" name="b" type="Const" version="opset1"><data element_type="i64" shape="1" offset="0" size="8"/>
<output><port id="0" precision="I64"><dim>1</dim></port></output></layer>
<layer id="2" name="s" type="Slice" version="opset8"><input><port id="0"><dim>1</dim><dim>3</dim><dim>4</dim><dim>4</dim>
</port><port id="1"><dim>1</dim></port><port id="2"><dim>1</dim></port><port id="3"><dim>1</dim></port></input>
<output><port id="4" names="s"><dim>1</dim><dim>3</dim><dim>4</dim><dim>4</dim></port></output></layer>
<layer id="3" name="p" type="SoftMax" version="opset8"><data axis="-1"/><input><port id="0"><dim>1</dim><dim>3</dim></port>
</input><output><port id="1" names="p"/></output></layer>
<layer id="4" name="m" type="AvgPool" version="opset1"><data pads_begin="1,1" pads_end="0,0"/></layer>
<layer id="5" name="p/sink_port_0" type="Result" version="opset1"><input><port id="0"/></input></layer></layers>
<edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/><edge from-layer="1" from-port="0" to-layer="2"
to-port="1"/><edge from-layer="1" from-port="0" to-layer="2" to-port="2"/><edge from-layer="1" from-port="0" to-layer="2"
to-port="3"/><edge from-layer="2" from-port="4" to-layer="3" to-port="0"/><edge from-layer="3" from-port="1" to-layer="5"
to-port="0"/></edges></net>"""


def _ir(path):
    from ncs.compiler.ir import version_of
    from ncs.myriad import ir_downgrade, known_faults

    path = path.rename(path.with_suffix(".xml"))
    path.with_suffix(".bin").write_bytes(bytes(64))
    known_faults.settings(str(path), {})
    version_of(str(path))
    (path.parent / "out").mkdir()
    ir_downgrade.downgrade(str(path), str(path.parent / "out"))


def _dlib_integer(value):
    return bytes([8 | (128 if value < 0 else 0)]) + abs(value).to_bytes(8, "little")


def _dlibs():
    sizes = lambda *numbers: _dlib_integer(2) + b"".join(map(_dlib_integer, numbers))  # noqa: E731
    tensor = b"con_4" + sizes(2, 1, 1, 1) + bytes(8) + b"affine_" + sizes(1, 4, 1, 1) + bytes(16)
    dense = b"fc_2" + _dlib_integer(2) * 2 + sizes(2, 2, 1, 1) + bytes(16)
    return [tensor + dense, dense]


def _dlib(path):
    from agegender.zoo import dlib_weights

    return list(dlib_weights.tensors(path.read_bytes()))


def _h5(fill):
    import h5py

    def write(folder):
        with h5py.File(folder / "x.h5", "w", track_order=False) as file:
            fill(file)

    return _written(write, "x.h5")


def _keras():
    def fill(file):
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"conv"]
        layer = group.create_group("conv")
        layer.attrs["weight_names"] = [b"conv/kernel:0"]
        layer.create_dataset("conv/kernel:0", data=np.zeros((3, 3, 1, 2), np.float32))

    return [_h5(fill)]


def _read_keras(path):
    from caffe.convert import keras_h5

    return keras_h5._read(str(path))


def _hdf5_data():
    def fill(file):
        file.create_dataset("data", data=np.zeros((4, 3), np.float32), chunks=(2, 3), compression="gzip")
        file.create_dataset("label", data=np.arange(4.0))

    return [_h5(fill)]


def _read_hdf5_data(path):
    with hdf5_reader.open_file(str(path)) as file:
        for key in ("data", "label"):
            found = hdf5_reader.child(file, key, str(path))
            if found is not None:
                hdf5_reader.array(found, str(path))


def _archives():
    files = {"a.jpg": b"x" * 600, "d/b.jpg": b"y" * 20, "c.txt": b""}
    found = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        found.append(stream.getvalue())
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", compression) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        found.append(stream.getvalue())
    return found


def _unpack(path):
    folder = path.with_name("out")
    folder.mkdir()
    try:
        safe_extract.unpack(str(path), str(folder), lambda name: name.endswith(".jpg"), 1 << 20, 100)
    finally:
        shutil.rmtree(folder)


VOC = b"""<annotation><size><width>40</width><height>20</height></size><object><name>cat</name><bndbox><xmin>4</xmin>
<ymin>5</ymin><xmax>20</xmax><ymax>15.5</ymax></bndbox><difficult>1</difficult></object></annotation>"""
COCO_IMAGE = b'{"image": {"height": 20, "width": 40}, "annotation": [{"bbox": [1, 2, 3.5, 4], "category_id": 1}]}'
COCO = (
    b'{"images": [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 40}], "categories": [{"id": 1, "name": "cat"}],'
    b' "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}]}'
)


def _annotation(kind):
    return lambda path: annotations.read(path, kind, (20, 40), {"cat": 1, "1": 2})


def _logs():
    line = "I0101 00:00:0%d.000000  1 solver.cpp:%s] %s\n"
    rows = [line % (0, "279", "Solving ")]
    for i in range(3):
        rows.append(line % (i, "239", f"Iteration {i * 10} (1 iter/s, 1s/10 iters), loss = {i}"))
        rows.append(line % (i, "258", f"    Train net output #0: loss = {i} (* 1 = {i} loss)"))
        rows.append(line % (i, "112", f"Iteration {i * 10}, lr = 0.1"))
        rows.append(line % (i, "433", f"    Test net output #0: accuracy = 0.{i}"))
    return ["".join(rows).encode()]


def _requests():
    inputs = [{"name": "data", "datatype": "FP32", "shape": [1, 2], "data": [[0.5, 1]]}]
    text = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["/9j/"]}
    output = {"name": "prob", "parameters": {"classification": 3}}
    raw = {"name": "data", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    return [
        json.dumps({"inputs": inputs, "outputs": [output], "id": "7"}).encode(),
        json.dumps({"inputs": [text], "parameters": {"binary_data_output": True}}).encode(),
        json.dumps({"inputs": [raw]}).encode() + b"|" + bytes(8),
    ]


def _http_request(path):
    from ncs.errors import NcsError
    from ncs.serve import protocol
    from ncs.serve.errors import RequestError

    body = path.read_bytes()
    head, found, rest = body.partition(b"|")
    try:
        protocol.parse(head + rest, len(head) if found else None)
    except RequestError as error:
        raise NcsError(str(error)) from None


def _rpc_messages():
    from ncs.serve import messages

    make = messages.classes()["ModelInferRequest"]
    found = []
    for raw in (False, True):
        request = make(model_name="a", id="7")
        entry = request.inputs.add(name="data", datatype="FP32", shape=[1, 2])
        if raw:
            request.raw_input_contents.append(bytes(8))
        else:
            entry.contents.fp32_contents.extend([1.0, 2.0])
        found.append(request.SerializeToString())
    return found


def _rpc_request(path):
    from google.protobuf.message import DecodeError

    from ncs.errors import NcsError
    from ncs.serve import messages, rpc
    from ncs.serve.errors import RequestError

    try:
        rpc._inputs(messages.classes()["ModelInferRequest"].FromString(path.read_bytes()))
    except (DecodeError, RequestError) as error:
        raise NcsError(str(error) or "damaged") from None


def _tfjs():
    weights = [{"name": "a", "shape": [2, 1], "dtype": "float32"}, {"name": "b", "shape": [], "dtype": "float16"}]
    return [json.dumps({"weightsManifest": [{"paths": ["w.bin"], "weights": weights}]}).encode()]


def _read_tfjs(path):
    from caffe.convert import tfjs

    path.with_name("w.bin").write_bytes(bytes(10))
    return tfjs.read(path)


def _settings(path):
    from ncs.cli import compile

    compile.read_settings(str(path))
    compile.read_labels(str(path))


def _words(path):
    """Return the lines of a file that is a command line, a flag per line."""
    return path.read_bytes().decode("utf-8", "surrogateescape").split("\n")[:100]


def _flags(path):
    from caffe.errors import CaffeError
    from caffe.tools.flags import gflags

    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--solver")
    parser.add_argument("--iterations", type=int)
    gflags.boolean(parser, "shuffle")
    try:
        gflags.normalise(_words(path))
    except SystemExit as error:
        raise CaffeError("refused") from error


def _pipe_messages():
    from ncs.runtime import pipe_protocol

    stream = io.BytesIO()
    pipe_protocol.send(stream, {"do": "run"}, np.zeros((1, 3), np.float32))
    return [stream.getvalue()]


def _pipe_message(path):
    from ncs.errors import NcsError
    from ncs.runtime import pipe_protocol

    try:
        pipe_protocol.receive(io.BytesIO(path.read_bytes()))
    except EOFError:
        raise NcsError("the other side has ended") from None


def _collection(path):
    from agegender.datasets import collection

    folder = path.with_name("faces")
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    return collection.read(str(folder), "", str(path.rename(path.with_suffix(".csv"))))


def _workbench_archive(path):
    from agegender.workbench.tasks import archive

    return archive._info(str(path.rename(path.with_name("info.json")).parent))


def _calibration(path):
    from agegender.zoo import temperatures

    path.rename(path.with_name("net.calibration.json"))
    return temperatures.of(str(path.with_name("net.caffemodel")))


def _jobs(path):
    from agegender.workbench.server import jobs

    return jobs.read_json(str(path))


INFO = b'{"framework": "caffe", "deploy file": "deploy.prototxt", "snapshot file": "a_iter_20.caffemodel"}'
MAP = b'item { name: "cat" label: 1 display_name: "a cat" } item { name: "dog" label: 2 }'
TARGETS = {
    "lmdb": Target(_lmdbs, (_lmdb,), False, 2),
    "image": Target(_images, (image_file.read_image,), False, 2),
    "image_header": Target(_images, (_header,), False, 4),
    "npy": Target(_npys, (npy_file.read_npy, _as(".npy", mean.read_mean)), False, 2),
    "manifest": Target(_manifests, (_manifest,), True, 2),
    "blobs": Target(_blob_archives, (_read_blobs,), False, 1),
    "superblob": Target(_superblobs, (_superblob,), False, 2),
    "ir": Target(lambda: [IR], (_ir,), True, 1),
    "dlib": Target(_dlibs, (_dlib,), False, 4),
    "keras": Target(_keras, (_read_keras,), False, 1, slow=True),
    "hdf5data": Target(_hdf5_data, (_read_hdf5_data,), False, 1),
    "archive": Target(_archives, (_unpack,), False, 2),
    "voc": Target(lambda: [VOC], (_annotation("xml"),), True, 2),
    "boxes": Target(lambda: [b"1 2 3 4 5\n2 0 0 1.5 9\n"], (_annotation("txt"),), True, 2),
    "coco": Target(lambda: [COCO, COCO_IMAGE], (annotations.coco, _annotation("json")), True, 2),
    "labelmap": Target(lambda: [MAP], (lambda path: annotations.label_map(path, True),), True, 2),
    "log": Target(_logs, (train_log.read,), True, 1),
    "http": Target(_requests, (_http_request,), True, 4),
    "grpc": Target(_rpc_messages, (_rpc_request,), False, 2),
    "tfjs": Target(_tfjs, (_read_tfjs,), True, 2),
    "settings": Target(lambda: [b"KEY VALUE\n# x\nMYRIAD_A 3\n"], (_settings,), True, 2),
    "flags": Target(lambda: [b"-solver=a\n-logtostderr\ntrain\n--weights\nb"], (_flags,), True, 2),
    "pipe": Target(_pipe_messages, (_pipe_message,), False, 2),
    "collection": Target(lambda: [b"file,age,gender,group\na.jpg,30,male,asian\n"], (_collection,), True, 1),
    "workbench": Target(lambda: [INFO], (_workbench_archive, _calibration, _jobs), True, 2),
}
