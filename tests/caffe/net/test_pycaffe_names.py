"""pycaffe's less known names, from the definitions in Caffe's _caffe.cpp, pycaffe.py and net.cpp."""

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError

NET = """name: "n"
layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } data_filler { type: "gaussian" } } }
layer { name: "i" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "r" type: "ReLU" bottom: "y" top: "y" }
layer { name: "j" type: "InnerProduct" bottom: "y" top: "z" param { name: "w" }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "l" type: "EuclideanLoss" bottom: "z" bottom: "t" loss_weight: 2 }
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.prototxt").write_text(NET)
    return caffe.Net("n.prototxt", caffe.TRAIN)


def test_blob_ids(net):
    assert net._blob_names == ["x", "t", "y", "z", "(automatic)"]
    assert [net._top_ids(i) for i in range(5)] == [[0, 1], [2], [2], [3], [4]]
    assert [net._bottom_ids(i) for i in range(5)] == [[], [0], [2], [2], [3, 1]]
    assert net._blob_loss_weights == [0, 0, 0, 0, 2]


def test_an_automatic_top_is_a_blob_but_no_output_and_not_in_the_weights(net, tmp_path):
    assert net.outputs == [] and net.forward() == {}
    z, t = net.blobs["z"].data, net.blobs["t"].data
    assert net.blobs["(automatic)"].data == pytest.approx(((z - t) ** 2).sum() / 8, rel=1e-5)
    net.save("n.caffemodel")
    stored = caffe.proto.caffe_pb2.NetParameter.FromString((tmp_path / "n.caffemodel").read_bytes())
    assert list(stored.layer[-1].top) == [] and net.top_names["l"] == ["(automatic)"]


def test_batch(net):
    batches = list(net._batch({"a": np.ones((6, 2)), "b": np.ones(6)}))
    assert [batch["a"].shape for batch in batches] == [(4, 2), (4, 2)]
    np.testing.assert_array_equal(batches[1]["b"], [1, 1, 0, 0])


def test_set_input_arrays(tmp_path):
    (tmp_path / "m.prototxt").write_text(
        'layer { name: "m" type: "MemoryData" top: "x" top: "t" memory_data_param '
        "{ batch_size: 1 channels: 1 height: 1 width: 2 } }"
    )
    net = caffe.Net(str(tmp_path / "m.prototxt"), caffe.TEST)
    net._set_input_arrays(np.array([[[[3, 4]]]], np.float32), np.zeros((1, 1, 1, 1), np.float32))
    np.testing.assert_array_equal(net.forward()["x"], [[[[3, 4]]]])


def test_solver_share_weights(net, tmp_path):
    (tmp_path / "s.prototxt").write_text('net: "n.prototxt" base_lr: 0.1 lr_policy: "fixed"')
    solver = caffe.get_solver("s.prototxt")
    solver.share_weights(net)
    solver.step(1)
    np.testing.assert_array_equal(net.params["i"][0].data, solver.net.params["i"][0].data)
    net.params["i"][0].data[...] = 5
    assert solver.net.params["i"][0].data[0, 0] == 5


def test_shared_weights_are_once_in_hdf5(net):
    import h5py

    net.save_hdf5("n.h5", write_diff=True)
    with h5py.File("n.h5") as file:
        assert {name: sorted(file["data"][name]) for name in file["data"]} == {
            "d": [], "i": ["0", "1"], "j": ["1"], "l": [], "r": [],
        }  # fmt: skip
        assert sorted(file["diff/j"]) == ["0", "1"]  # as Caffe's ToHDF5: diffs of every blob
    other = caffe.Net("n.prototxt", caffe.TRAIN)
    other.params["j"][1].data[...] = 9
    other.copy_from("n.h5")
    for name in "ij":
        for k in range(2):
            np.testing.assert_array_equal(other.params[name][k].data, net.params[name][k].data)


def test_a_missing_blob_that_is_not_shared_is_an_error(net, tmp_path):
    net.save_hdf5("n.h5")
    for cut, message in ((' param { name: "w" }\n', "layer 'j', blob 0: not in the file"),):
        (tmp_path / "own.prototxt").write_text(NET.replace(cut, "\n"))
        own = caffe.Net("own.prototxt", caffe.TRAIN)
        with pytest.raises(CaffeError, match=message):
            own.copy_from("n.h5")


def test_a_solver_without_a_policy_is_created_and_fails_at_the_first_update(net, tmp_path):
    (tmp_path / "s.prototxt").write_text("net: 'n.prototxt'")
    solver = caffe.get_solver("s.prototxt")
    assert solver.iter == 0 and solver.net.name == "n"
    with pytest.raises(CaffeError, match="no lr_policy"):
        solver.step(1)


@pytest.mark.parametrize(
    "layer",
    [
        'type: "InnerProduct" inner_product_param { num_output: 2 }',
        'type: "Reduction"',
        'type: "SPP" spp_param { pyramid_height: 2 }',
        'type: "Pooling" pooling_param { kernel_size: 2 }',
        'type: "ArgMax"',
        'type: "Tile" tile_param { tiles: 2 }',
        'type: "Im2col" convolution_param { kernel_size: 2 }',
    ],
)
def test_a_layer_that_changes_the_shape_cannot_work_in_place(tmp_path, layer):
    (tmp_path / "p.prototxt").write_text(
        'input: "x" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }\n'
        'layer { name: "c" type: "Power" bottom: "x" top: "y" }\n'
        f'layer {{ name: "q" bottom: "y" top: "y" {layer} }}\n'
    )
    with pytest.raises(CaffeError, match="p.prototxt:3: layer 'q'.*cannot work in place"):
        caffe.Net(str(tmp_path / "p.prototxt"), caffe.TEST)


def test_debug_info_as_caffe_logs_it(tmp_path, capsys):
    """The lines of net.cpp's InputDebugInfo, ForwardDebugInfo and BackwardDebugInfo."""
    (tmp_path / "p.prototxt").write_text(
        'debug_info: true force_backward: true input: "x" input_shape { dim: 1 dim: 2 dim: 2 dim: 2 }\n'
        'layer { name: "i" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" } inner_product_param '
        '{ num_output: 1 weight_filler { type: "constant" value: 2 } } }\n'
        'layer { name: "c" type: "Crop" bottom: "x" bottom: "x" top: "z" crop_param { axis: 2 } }\n'
    )
    net = caffe.Net(str(tmp_path / "p.prototxt"), caffe.TEST)
    net.blobs["x"].data[...] = -3
    capsys.readouterr()
    net.forward()
    net.backward(y=np.ones((1, 1)), z=np.zeros((1, 2, 2, 2)))
    lines = [line.split("] ", 1)[1].strip() for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == "[Forward] Input x data: 3"
    assert "[Forward] Layer i, param blob w data: 2" in lines
    assert "[Backward] Layer i, param blob 0 diff: 3" in lines
    assert [line for line in lines if line.startswith("[Backward] Layer c")] == [
        "[Backward] Layer c, bottom blob x_input_0_split_1 diff: 0",
        "[Backward] Layer c, bottom blob x_input_0_split_2 diff: 0",
    ]
    assert not any("All net params" in line for line in lines)
