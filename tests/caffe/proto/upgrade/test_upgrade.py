"""Upgrades compared with the output of real Caffe's tools, and rules that its tools do not show."""

from pathlib import Path

import pytest
from support.external_data import SHARED, needs_shared

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, read, text, upgrade

GOLDEN = Path(__file__).parents[3] / "golden" / "tools" / "upgrade"
REAL = sorted((SHARED / "golden" / "tools" / "upgrade_real").glob("*.in.prototxt")) if SHARED else []


def upgraded(path):
    if "solver" in path.name:
        return read.read_solver(path, prefix=False).param
    return read.read_net(path).param


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.in.prototxt")), ids=lambda path: path.name)
def test_upgrades_agree_with_caffe(path):
    expected = path.with_name(path.name.replace(".in.", ".out."))
    assert text.format(upgraded(path)) == expected.read_text()


@needs_shared
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_upgrades_of_published_nets_agree_with_caffe(path):
    expected = path.with_name(path.name.replace(".in.", ".out."))
    assert text.format(upgraded(path)) == expected.read_text()


def net_of(prototxt):
    return read.read_net_text(prototxt, "n.prototxt")


def test_tables_cover_all_types():
    from caffe.proto.upgrade import v0

    v1 = set(caffe_pb2.V1LayerParameter.LayerType.keys())
    assert set(upgrade.TYPES) == v1
    assert set(v0.TYPES.values()) <= v1
    assert set(upgrade.SOLVER_TYPES) == set(caffe_pb2.SolverParameter.SolverType.keys())


def test_locations_follow_the_layers():
    file = net_of(
        """input: "data"
input_dim: [1, 3, 8, 8]
layers { name: "a" type: RELU bottom: "data" top: "a" }
layers { name: "b" type: TANH
  bottom: "a" top: "b" }
"""
    )
    assert [layer.type for layer in file.param.layer] == ["Input", "ReLU", "TanH"]
    assert file.where == ["n.prototxt:1", "n.prototxt:3", "n.prototxt:4"]


def test_locations_of_padding_layers_are_removed():
    file = net_of(
        """input: "x" input_dim: [1, 1, 8, 8]
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "x" top: "p" }
layers { layer { name: "pool" type: "pool" kernelsize: 3 } bottom: "p" top: "q" }
"""
    )
    assert file.where == ["n.prototxt:1", "n.prototxt:3"]
    assert file.param.layer[1].pooling_param.pad == 1
    assert list(file.param.layer[1].bottom) == ["x"]


def test_transformation_fields_of_data_layers_are_moved():
    net = net_of(
        """layers { name: "d" type: DATA top: "x"
  data_param { source: "s" scale: 0.5 mirror: true crop_size: 7 mean_file: "m" batch_size: 2 } }
layers { name: "i" type: IMAGE_DATA top: "y" image_data_param { source: "l" } }
"""
    ).param
    transform = net.layer[0].transform_param
    assert (transform.scale, transform.mirror) == (0.5, True)
    assert (transform.crop_size, transform.mean_file) == (7, "m")
    assert text.format(net.layer[0].data_param) == 'source: "s"\nbatch_size: 2\n'
    assert net.layer[1].HasField("transform_param")  # Caffe leaves an empty one


def test_v1_blob_fields_become_params():
    net = net_of(
        """layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" param: "w" param: "b"
  blob_share_mode: PERMISSIVE blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 loss_weight: 3 }"""
    ).param
    assert text.format(net.layer[0]) == (
        'name: "c"\ntype: "Convolution"\nbottom: "x"\ntop: "c"\nloss_weight: 3\n'
        'param {\n  name: "w"\n  share_mode: PERMISSIVE\n  lr_mult: 1\n  decay_mult: 1\n}\n'
        'param {\n  name: "b"\n  lr_mult: 2\n  decay_mult: 0\n}\n'
    )


def test_inputs_become_one_input_layer():
    net = net_of('input: "a" input: "b" input_shape { dim: 1 dim: 2 } input_shape { dim: 3 }').param
    (layer,) = net.layer
    assert (layer.name, layer.type, list(layer.top)) == ("input", "Input", ["a", "b"])
    assert [list(shape.dim) for shape in layer.input_param.shape] == [[1, 2], [3]]
    assert not net.input and not net.input_shape


def test_batch_norm_with_three_params_is_not_trained():
    net = net_of('layer { type: "BatchNorm" param { lr_mult: 1 name: "m" } param { } param { } }').param
    params = [(p.name, p.lr_mult, p.decay_mult) for p in net.layer[0].param]
    assert params == [("m", 0, 0), ("", 0, 0), ("", 0, 0)]


@pytest.mark.parametrize(
    ("prototxt", "message"),
    [
        ('layer { name: "a" } layers { name: "b" }', "both `layer` and `layers`"),
        (
            'layers { layer { name: "a" type: "cnv" } }',
            "n.prototxt:1: unknown V0 layer type 'cnv'; did you mean",
        ),
        ('layers { layer { type: "relu" } bottom: "z" }', "no earlier layer produces the blob 'z'"),
        (
            'input: "x" input_dim: [1,1,4,4] layers { layer { type: "padding" } bottom: "x" top: "p" }'
            ' layers { layer { type: "relu" } bottom: "p" }',
            "may only feed one conv or pool",
        ),
        ('layers { layer { type: "relu" } } layers { type: RELU }', "a V1 layer among V0 layers"),
        ('input: "a" input_dim: 3', "1 input but 1 input_dim; expected four per input"),
        ('input: "a" input_shape {} input_shape {}', "1 input but 2 input_shape"),
    ],
)
def test_invalid_nets(prototxt, message):
    with pytest.raises(CaffeError, match=message.replace("(", r"\(")):
        net_of(prototxt)


def test_solver_with_both_types_is_rejected():
    with pytest.raises(CaffeError, match="keep type"):
        read.read_solver_text('type: "Adam" solver_type: SGD')
