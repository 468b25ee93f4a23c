"""extract_features: the databases are read back with protobuf and with a Data layer."""

import numpy as np
import pytest
from support.layer_nets import net_of
from support.small_solvers import database

from caffe import tools
from caffe.data.db import open_db
from caffe.proto import caffe_pb2

NET = """
layer { name: "data" type: "Data" top: "data" data_param { source: "%s" backend: LMDB batch_size: 4 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { pool: MAX kernel_size: 6 stride: 6 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 5
  weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def files(tmp_path):
    database(tmp_path / "db", 10)
    (tmp_path / "net.prototxt").write_text(NET % (tmp_path / "db"))
    net = net_of(NET % (tmp_path / "db"), 1)
    net.save(str(tmp_path / "net.caffemodel"))
    return tmp_path, net


def arguments(folder, blobs="pool,ip", databases=None, batches="3", *more):
    databases = databases or "{},{}".format(folder / "a", folder / "b")
    return [
        "extract_features",
        str(folder / "net.caffemodel"),
        str(folder / "net.prototxt"),
        blobs,
        databases,
        batches,
        *more,
    ]


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_records(files, backend):
    folder, net = files
    assert tools.main(arguments(folder, "pool,ip", None, "3", backend)) == 0
    expected = {"pool": [], "ip": []}
    for _ in range(3):
        net.forward()
        for name, rows in expected.items():
            rows.extend(net.blobs[name].data.copy())
    for name, shape, path in (("pool", (3, 2, 2), folder / "a"), ("ip", (5, 1, 1), folder / "b")):
        with open_db(str(path), backend) as db:
            records = list(db)
        assert [key for key, _ in records] == [b"%010d" % i for i in range(12)]
        for (_, value), row in zip(records, expected[name]):
            datum = caffe_pb2.Datum.FromString(value)
            assert (datum.channels, datum.height, datum.width) == shape
            assert np.array_equal(np.float32(datum.float_data), row.ravel())
            assert not datum.HasField("label") and not datum.HasField("encoded")


def test_data_layer_reads_the_database(files):
    folder, _ = files
    assert tools.main(arguments(folder, "pool", str(folder / "a"), "1", "lmdb")) == 0
    net = net_of(
        f'layer {{ name: "d" type: "Data" top: "d" data_param {{ source: "{folder}/a" backend: LMDB batch_size: 2 }} }}'
    )
    assert net.forward()["d"].shape == (2, 3, 2, 2)


@pytest.mark.parametrize(
    "blobs, databases, batches, more, message",
    [
        ("pol", None, "1", ["lmdb"], "expected one database per blob, received 1 blobs and 2 databases"),
        ("pol,ip", None, "1", ["lmdb"], "unknown feature blob 'pol'; did you mean 'pool'"),
        ("pool,ip", None, "0", ["lmdb"], "positive"),
        ("pool,ip", None, "1", ["lmbd"], "unknown database backend 'lmbd'"),
        ("pool,ip", None, "1", ["lmdb", "TPU"], "CPU or GPU"),
    ],
)
def test_errors_leave_no_files(files, blobs, databases, batches, more, message, capsys):
    folder, _ = files
    assert tools.main(arguments(folder, blobs, databases, batches, *more)) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "a").exists() and not (folder / "b").exists()
