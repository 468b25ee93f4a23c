"""Reading nets and solvers: text or binary by content, old encodings, Caffe's snapshot_prefix."""

import os
import threading

import pytest

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, read

NET = 'name: "n"\nlayers { name: "ip" type: INNER_PRODUCT bottom: "x" top: "y" }\n'


def test_text_and_binary_are_detected_by_content(tmp_path):
    prototxt, model = tmp_path / "n.prototxt", tmp_path / "n.caffemodel"
    prototxt.write_text(NET)
    v1_net = caffe_pb2.NetParameter(name="n")
    layer = v1_net.layers.add(name="ip", type=14, bottom=["x"], top=["y"])
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    model.write_bytes(v1_net.SerializeToString())
    text = read.read_net(prototxt)
    assert text.where == [f"{prototxt}:2"]
    assert read.read_net(str(model)).param == text.param
    net = read.read_net_binary(model).param
    assert list(net.layer[0].blobs[0].data) == [1, 2] and net.layer[0].type == "InnerProduct"
    with pytest.raises(CaffeError, match="expected a binary net .*received text"):
        read.read_net_binary(prototxt)


def test_comments_in_old_encodings_and_a_byte_order_mark_are_ignored(tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_bytes(b"\xef\xbb\xbf# \xc4\xe3\xba\xc3\r\nname: 'n'\r\n")
    assert read.read_net(path).param.name == "n"
    path.write_bytes(b"name: '\xc4\xe3'")
    with pytest.raises(CaffeError, match="expected text in UTF-8"):
        read.read_net(path)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        for reader in (read.read_net, read.read_solver, read.read_net_binary):
            with pytest.raises(CaffeError, match="cannot be read"):
                reader(path)


def test_snapshot_prefix_defaults_to_the_solver_file(tmp_path):
    path = tmp_path / "my_solver.prototxt"
    path.write_text('net: "n" base_lr: 0.1\n')
    file = read.read_solver(path)
    assert file.param.snapshot_prefix == str(tmp_path / "my_solver")
    assert file.where.at("base_lr") == f"{path}:1"
    path.write_text(f'snapshot_prefix: "{tmp_path}"')
    assert read.read_solver(path).param.snapshot_prefix == str(tmp_path / "my_solver")
    path.write_text('snapshot_prefix: "snap/x"')
    assert read.read_solver(path).param.snapshot_prefix == "snap/x"


def test_nets_inside_a_solver_are_upgraded():
    file = read.read_solver_text(f"net_param {{ {NET} }} test_net_param {{ {NET} }} test_net_param {{ }}")
    assert file.param.net_param.layer[0].type == "InnerProduct"
    assert file.param.test_net_param[0].layer[0].type == "InnerProduct"


def test_a_pipe_is_read_once(tmp_path):
    """Its first bytes, which show whether it is text, are not lost: bash's `<(...)` is a pipe."""
    net = 'name: "n" # %s\nlayer { name: "data" type: "Input" top: "data" }\n' % ("x" * 3000)
    for read_file, content, name in ((read.read_net, net, "n"), (read.read_solver, 'net: "a"\nmax_iter: 7\n', 7)):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=(content,))
        writer.start()
        param = read_file(str(pipe)).param
        writer.join()
        assert (param.name if read_file is read.read_net else param.max_iter) == name
        pipe.unlink()
