"""`ncs check`: mvNCCheck's figures, the emulation against NumPy and OpenVINO, planted overflow, databases."""

import json

import numpy as np
import pytest
from support import caffe_nets

from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from ncs.cli import main
from ncs.precision import compare, fp16_emulation

SHAPE = (2, 3, 7, 7)
SINGLE = {
    "Convolution": "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }",
    "InnerProduct": "inner_product_param { num_output: 6 }",
    "Pooling": "pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
    "LRN": "lrn_param { local_size: 3 alpha: 0.1 }",
    "Sigmoid": "",
    "Softmax": "",
}


def single(kind):
    text = (
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 7 dim: 7 } } }'
        f'layer {{ name: "x" type: "{kind}" bottom: "data" top: "x" {SINGLE[kind]} }}'
    )
    net = Net.from_param(read_net_text(text, "single").param, caffe_pb2.TEST)
    random = np.random.RandomState(1)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = random.standard_normal(blob.shape)
    return net


def steps(one, other):
    """How many half-precision numbers lie between two arrays of them, at most."""
    bits = [np.asarray(a, np.float16).view(np.int16).astype(np.int32) for a in (one, other)]
    lines = [np.where(b < 0, -(b & 0x7FFF), b) for b in bits]
    return int(np.abs(lines[0] - lines[1]).max())


def by_numpy(kind, x, weights):
    """The layer in double precision on numbers that half precision holds."""
    x, weights = x.astype(np.float64), [w.astype(np.float16).astype(np.float64) for w in weights]
    if kind == "InnerProduct":
        return x.reshape(len(x), -1) @ weights[0].T + weights[1]
    if kind == "Convolution":
        padded, out = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), np.zeros((2, 4, 7, 7))
        for n, o, i, j in np.ndindex(out.shape):
            out[n, o, i, j] = (padded[n, :, i : i + 3, j : j + 3] * weights[0][o]).sum() + weights[1][o]
        return out
    if kind == "Pooling":
        return np.array(
            [
                [[[x[n, c, i : i + 3, j : j + 3].mean() for j in (0, 2, 4)] for i in (0, 2, 4)] for c in range(3)]
                for n in range(2)
            ]
        )
    if kind == "LRN":
        squares = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
        return x / (1 + 0.1 / 3 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** 0.75
    if kind == "Sigmoid":
        return 1 / (1 + np.exp(-x))
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


@pytest.mark.parametrize("kind", SINGLE)
def test_a_layer_in_half_is_the_exact_one_rounded(kind):
    """Two witnesses: plain double precision, and OpenVINO; float32 sums may move a value by one step of half precision."""
    from caffe.convert.onnx_export import model_bytes

    net, picture = single(kind), np.random.RandomState(2).standard_normal(SHAPE).astype(np.float32)
    held = picture.astype(np.float16).astype(np.float32)
    weights = [blob.data.copy() for blobs in net.params.values() for blob in blobs]
    fp16_emulation.round_weights(net)
    found = fp16_emulation.answer(net, picture, True)
    assert steps(by_numpy(kind, held, weights).reshape(2, -1), found) <= 1
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model_bytes(net)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert steps(compiled(held)[0].reshape(2, -1), found) <= 1
    np.testing.assert_array_equal(found, found.astype(np.float16))


def test_overflow_and_denormals_are_those_of_half(tmp_path):
    net = single("InnerProduct")
    with np.errstate(over="ignore"):
        values = np.array([65504, 65519.9, 65520, 1e6, 6e-8, 2e-8, -1e-6, 1 / 3], np.float32)
        blob = net.params["x"][0]
        blob.data.reshape(-1)[:8] = values
        fp16_emulation.round_weights(net)
        np.testing.assert_array_equal(blob.data.reshape(-1)[:8], values.astype(np.float16).astype(np.float32))
    assert np.isinf(blob.data.reshape(-1)[[2, 3]]).all() and blob.data.reshape(-1)[5] == 0


def test_the_figures():
    """By hand: greatest expected 4, differences 0, 0.04, 0.4, 0.04."""
    found = compare.compute_metrics([0, 1, -4, 2], [0, 1.04, -3.6, 1.96])
    assert found.smallest == pytest.approx(10) and found.average == pytest.approx(3)
    assert found.wrong == 25 and found.total == pytest.approx(0.48)
    assert found.l2 == pytest.approx(100 * np.sqrt((0.04**2 * 2 + 0.16) / 4) / 4)
    assert not compare.passes(found, compare.Limits()) and compare.passes(found, compare.Limits(5, 11, 4, 25, 6))
    assert not compare.passes(compare.compute_metrics([0, 0], [0, 1]), compare.Limits(100, 100, 100, 100, 100))
    assert not compare.passes(compare.compute_metrics([1, 2], [1, np.nan]), compare.Limits(100, 100, 100, 100, 100))
    assert compare.passes(compare.compute_metrics([0, 0], [0, 0]), compare.Limits())


def test_the_print_is_mvncchecks(tmp_path, capsys):
    prototxt, weights = caffe_nets.tiny(tmp_path)
    assert (
        main(["check", prototxt, "-w", weights, "-S", "255", "-M", "120", "-d", "FP16", "--json", str(tmp_path / "j")])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("NOT A STICK")
    assert lines[1] == "Result:  (5,)" and lines[2].startswith("1) ") and lines[7] == "Expected:  (5,)"
    assert lines[14].strip() == "Obtained values"
    for line, (name, limit) in zip(
        lines[16:],
        [
            ("Min Pixel Accuracy", 2),
            ("Average Pixel Accuracy", 1),
            ("Percentage of wrong values", 0),
            ("Pixel-wise L2 error", 1),
        ],
    ):
        assert line.startswith(f" Obtained {name}: ") and line.endswith("%% (max allowed=%d%%), Pass" % limit)
    assert lines[20].startswith(" Obtained Global Sum Difference: ")
    facts = json.loads((tmp_path / "j").read_text())
    assert facts["emulation"] is True and [row["name"] for row in facts["layers"]][1:3] == ["conv1", "relu1"]


def test_a_planted_overflow_is_named_and_cured(tmp_path, capsys):
    """conv1's weights x 4096, conv2's by 4096 less: float32 says the same, half cannot hold conv1."""
    prototxt, weights = caffe_nets.tiny(tmp_path, conv1=4096)
    net = caffe_nets.seeded(prototxt)
    net.copy_from(weights)
    net.params["conv2"][0].data[...] /= 4096
    net.save(weights)
    cured = str(tmp_path / "cured.caffemodel")
    assert main(["check", prototxt, "-w", weights, "-d", "FP16", "--write-scaled", cured]) == 1
    said = capsys.readouterr().out
    assert "The divergence starts at layer 'conv1' (Convolution)" in said and "values overflow" in said
    assert "conv1: weights x 2^-" in said and "conv2: weights x 2^" in said and "fc:" not in said
    assert main(["check", prototxt, "-w", cured, "-d", "FP16"]) == 0
    assert "overflow;" not in capsys.readouterr().out
    plain, scaled = caffe_nets.seeded(prototxt), caffe_nets.seeded(prototxt)
    plain.copy_from(weights)
    scaled.copy_from(cured)
    picture = np.random.RandomState(1).uniform(0, 255, (1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(scaled.forward(data=picture)["prob"], plain.forward(data=picture)["prob"], atol=1e-6)


def test_an_answer_that_overflows_is_beyond_help(tmp_path, capsys):
    prototxt, weights = caffe_nets.tiny(tmp_path, fc=1e6)
    assert main(["check", prototxt, "-w", weights, "-d", "FP16"]) == 1
    assert "No scaling of weights helps layer(s) fc" in capsys.readouterr().out


def test_a_device_instead_of_the_emulation(tmp_path, capsys):
    prototxt, weights = caffe_nets.tiny(tmp_path)
    np.save(tmp_path / "x.npy", np.random.RandomState(1).uniform(0, 1, (3, 8, 8)))
    arguments = ["check", prototxt, "-w", weights, "-d", "CPU", "-i", str(tmp_path / "x.npy")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "Device: CPU" in said and "emulation" not in said
    best = int(said.splitlines()[2].split()[1])
    assert main([*arguments, "-id", str(best)]) == 0 and main([*arguments, "-id", str((best + 1) % 5)]) == 1


def test_a_whole_database(tmp_path, capsys):
    """Flips are found where they are: a net whose two classes differ by less than half precision can tell."""
    import lmdb

    from caffe.data import datum

    text = caffe_nets.TINY.split('layer { name: "relu1"')[0]
    text = text.replace("num_output: 4 kernel_size: 3", "num_output: 2 kernel_size: 8")
    text += 'layer { name: "prob" type: "Softmax" bottom: "conv1" top: "prob" }'
    prototxt, weights = caffe_nets.tiny(tmp_path, text)
    net = caffe_nets.seeded(prototxt)
    kernel, bias = net.params["conv1"]
    kernel.data[...] = 0
    kernel.data[0, 0, 0, 0] = kernel.data[1, 0, 0, 0] = 1
    bias.data[...] = 0
    kernel.data[1, 1, 0, 0] = 1e-4  # too small a part of the sum for FP16 once the first pixel is large
    net.save(weights)
    pictures = np.zeros((40, 3, 8, 8), np.uint8)
    pictures[:, 1], pictures[20:, 0] = 9, 200
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 24) as environment, environment.begin(write=True) as writer:
        for number, picture in enumerate(pictures):
            writer.put(b"%04d" % number, datum.encode(picture, 1))
    main(
        ["check", prototxt, "-w", weights, "-d", "FP16", "--lmdb", str(tmp_path / "db"), "--json", str(tmp_path / "j")]
    )
    assert "40 pictures: accuracy 1.0000 expected, 0.5000 found (-0.5000); 20 flip" in capsys.readouterr().out
    survey = json.loads((tmp_path / "j").read_text())["survey"]
    assert [flip["key"] for flip in survey["flips"]] == ["%04d" % number for number in range(20, 40)]
    assert {(flip["label"], flip["expected"], flip["result"]) for flip in survey["flips"]} == {(1, 1, 0)}
