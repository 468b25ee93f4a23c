"""The nets and solvers in prototxt/ equal the published ones, as upgraded by real Caffe."""

import math

import pytest
from support.checkout import ROOT
from support.external_data import SHARED, needs_shared

from caffe.proto import caffe_pb2, text

FOLDER = ROOT / "prototxt"
UPGRADED = SHARED and SHARED / "golden" / "tools" / "upgrade_real"
LEVI = "levi_{}_net_definitions_{}.out.prototxt"


def net(path):
    """Read a NetParameter."""
    message = caffe_pb2.NetParameter()
    text.parse(path.read_text(encoding="utf-8"), message, str(path))
    return message


def solver(path):
    """Read a SolverParameter."""
    message = caffe_pb2.SolverParameter()
    text.parse(path.read_text(encoding="utf-8"), message, str(path))
    return message


def without_paths(message):
    """Text of the net without paths and the name of its Input layer, which may differ."""
    for layer in message.layer:
        layer.data_param.ClearField("source")
        layer.transform_param.ClearField("mean_file")
        for name in ("data_param", "transform_param"):
            if not getattr(layer, name).ListFields():
                layer.ClearField(name)
        if layer.type == "Input":
            layer.ClearField("name")
    return text.format(message)


@needs_shared
@pytest.mark.parametrize(
    "name, published",
    [
        ("AgeNet_train_test", "tringn_AgeNet_train_test.out.prototxt"),
        ("GenderNet_train_test", "tringn_GenderNet_train_test.out.prototxt"),
        ("AgeNet_deploy", "tringn_AgeNet_deploy.out.prototxt"),
        ("GenderNet_deploy", "tringn_GenderNet_deploy.out.prototxt"),
        ("levi/AgeNet_train_val", LEVI.format("age", "train_val_test_fold_is_0")),
        ("levi/GenderNet_train_val", LEVI.format("gender", "train_val_test_fold_is_0")),
        ("levi/AgeNet_deploy", LEVI.format("age", "deploy")),
        ("levi/GenderNet_deploy", LEVI.format("gender", "deploy")),
    ],
)
def test_net_equals_the_published_one(name, published):
    assert without_paths(net(FOLDER / (name + ".prototxt"))) == without_paths(net(UPGRADED / published))


@needs_shared
@pytest.mark.parametrize(
    "name, published",
    [
        ("AgeNet", "tringn/prototxt/AgeNet_solver.prototxt"),
        ("GenderNet", "tringn/prototxt/GenderNet_solver.prototxt"),
        ("levi/AgeNet", "levi/age_solver_fold_0.prototxt"),
        ("levi/GenderNet", "levi/gender_solver_fold_0.prototxt"),
    ],
)
def test_solver_has_the_published_schedule(name, published):
    received = solver(FOLDER / (name + "_solver.prototxt"))
    expected = solver(SHARED / "data" / published)
    assert received.snapshot_prefix.split("/")[-1] == expected.snapshot_prefix.split("/")[-1]
    for field, value in received.ListFields():
        if field.name not in ("net", "snapshot_prefix", "test_iter", "solver_mode"):
            assert value == getattr(expected, field.name), field.name
    assert len(received.ListFields()) == len(expected.ListFields())


@pytest.mark.parametrize(
    "name, parameters",
    [("AgeNet", 11415561), ("GenderNet", 11411970), ("levi/AgeNet", 11415048), ("levi/GenderNet", 11411970)],
)
def test_net_has_the_published_number_of_parameters(name, parameters):
    side, channels, count = 227, 3, 0
    for layer in net(FOLDER / (name + "_deploy.prototxt")).layer:
        if layer.type == "Convolution":
            param = layer.convolution_param
            kernel, stride, pad = param.kernel_size[0], (param.stride or [1])[0], (param.pad or [0])[0]
            count += param.num_output * (channels * kernel * kernel + 1)
            side, channels = (side + 2 * pad - kernel) // stride + 1, param.num_output
        elif layer.type == "Pooling":
            side = math.ceil((side - layer.pooling_param.kernel_size) / layer.pooling_param.stride) + 1
        elif layer.type == "InnerProduct":
            outputs = layer.inner_product_param.num_output
            count += outputs * (channels * side * side + 1)
            side, channels = 1, outputs
    assert count == parameters


SOLVERS = sorted(FOLDER.rglob("*_solver.prototxt"))


@pytest.mark.parametrize("path", SOLVERS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_solver_names_an_existing_net(path):
    message = solver(path)
    assert (ROOT / message.net).is_file()
    assert message.snapshot_prefix.startswith("models/")
    assert message.solver_mode == caffe_pb2.SolverParameter.CPU


@pytest.mark.parametrize(
    "name, images",
    [("AgeNet", 687), ("GenderNet", 687), ("levi/AgeNet", 1284), ("levi/GenderNet", 1339)],
)
def test_test_iterations_cover_the_whole_data_set(name, images):
    message = solver(FOLDER / (name + "_solver.prototxt"))
    data = net(ROOT / message.net).layer[1]
    batch = data.data_param.batch_size
    assert data.include[0].phase == caffe_pb2.TEST
    assert 0 <= message.test_iter[0] * batch - images < batch
