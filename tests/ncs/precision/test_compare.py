"""`ncs check`: mvNCCheck's metrics, the emulation against NumPy and OpenVINO, overflow, databases."""

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


def single_layer_net(kind):
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


def ulps(first, second):
    """Return the largest difference between two arrays in units of half precision."""
    bits = [np.asarray(a, np.float16).view(np.int16).astype(np.int32) for a in (first, second)]
    ordered = [np.where(b < 0, -(b & 0x7FFF), b) for b in bits]
    return int(np.abs(ordered[0] - ordered[1]).max())


def by_numpy(kind, x, weights):
    """Compute the layer in double precision on values rounded to half precision."""
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
def test_emulated_layer_is_the_exact_one_rounded(kind):
    """Compare with double precision and OpenVINO; float32 sums may change a value by one unit of half precision."""
    from caffe.convert.onnx_export import model_bytes

    net, image = single_layer_net(kind), np.random.RandomState(2).standard_normal(SHAPE).astype(np.float32)
    rounded = image.astype(np.float16).astype(np.float32)
    weights = [blob.data.copy() for blobs in net.params.values() for blob in blobs]
    fp16_emulation.round_weights(net)
    result = fp16_emulation.predict(net, image, True)
    assert ulps(by_numpy(kind, rounded, weights).reshape(2, -1), result) <= 1
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model_bytes(net)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert ulps(compiled(rounded)[0].reshape(2, -1), result) <= 1
    np.testing.assert_array_equal(result, result.astype(np.float16))


def test_overflow_and_denormals_of_half_precision(tmp_path):
    net = single_layer_net("InnerProduct")
    with np.errstate(over="ignore"):
        values = np.array([65504, 65519.9, 65520, 1e6, 6e-8, 2e-8, -1e-6, 1 / 3], np.float32)
        blob = net.params["x"][0]
        blob.data.reshape(-1)[:8] = values
        fp16_emulation.round_weights(net)
        np.testing.assert_array_equal(blob.data.reshape(-1)[:8], values.astype(np.float16).astype(np.float32))
    assert np.isinf(blob.data.reshape(-1)[[2, 3]]).all() and blob.data.reshape(-1)[5] == 0


def test_metrics():
    """Computed by hand: largest expected value 4, differences 0, 0.04, 0.4, 0.04."""
    metrics = compare.compute_metrics([0, 1, -4, 2], [0, 1.04, -3.6, 1.96])
    assert metrics.smallest == pytest.approx(10) and metrics.average == pytest.approx(3)
    assert metrics.wrong == 25 and metrics.total == pytest.approx(0.48)
    assert metrics.l2 == pytest.approx(100 * np.sqrt((0.04**2 * 2 + 0.16) / 4) / 4)
    assert not compare.passes(metrics, compare.Limits()) and compare.passes(metrics, compare.Limits(5, 11, 4, 25, 6))
    assert not compare.passes(compare.compute_metrics([0, 0], [0, 1]), compare.Limits(100, 100, 100, 100, 100))
    assert not compare.passes(compare.compute_metrics([1, 2], [1, np.nan]), compare.Limits(100, 100, 100, 100, 100))
    assert compare.passes(compare.compute_metrics([0, 0], [0, 0]), compare.Limits())


def test_output_format_of_mvnccheck(tmp_path, capsys):
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
        assert line.startswith(f" Obtained {name}: ") and line.endswith(f"% (max allowed={limit}%), Pass")
    assert lines[20].startswith(" Obtained Global Sum Difference: ")
    report = json.loads((tmp_path / "j").read_text())
    assert report["emulation"] is True and [row["name"] for row in report["layers"]][1:3] == ["conv1", "relu1"]


def test_overflow_is_reported_and_scaled_away(tmp_path, capsys):
    """conv1's weights x 4096, conv2's / 4096: the float32 outputs are the same, conv1 overflows in FP16."""
    prototxt, weights = caffe_nets.tiny(tmp_path, conv1=4096)
    net = caffe_nets.seeded(prototxt)
    net.copy_from(weights)
    net.params["conv2"][0].data[...] /= 4096
    net.save(weights)
    scaled_weights = str(tmp_path / "scaled.caffemodel")
    assert main(["check", prototxt, "-w", weights, "-d", "FP16", "--write-scaled", scaled_weights]) == 1
    output = capsys.readouterr().out
    assert "The divergence starts at layer 'conv1' (Convolution)" in output and "values overflow" in output
    assert "conv1: weights x 2^-" in output and "conv2: weights x 2^" in output and "fc:" not in output
    assert main(["check", prototxt, "-w", scaled_weights, "-d", "FP16"]) == 0
    assert "overflow;" not in capsys.readouterr().out
    plain, scaled = caffe_nets.seeded(prototxt), caffe_nets.seeded(prototxt)
    plain.copy_from(weights)
    scaled.copy_from(scaled_weights)
    image = np.random.RandomState(1).uniform(0, 255, (1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(scaled.forward(data=image)["prob"], plain.forward(data=image)["prob"], atol=1e-6)


def test_overflowing_output_cannot_be_scaled(tmp_path, capsys):
    prototxt, weights = caffe_nets.tiny(tmp_path, fc=1e6)
    assert main(["check", prototxt, "-w", weights, "-d", "FP16"]) == 1
    assert "No scaling of weights helps layer(s) fc" in capsys.readouterr().out


def test_device_instead_of_the_emulation(tmp_path, capsys):
    prototxt, weights = caffe_nets.tiny(tmp_path)
    np.save(tmp_path / "x.npy", np.random.RandomState(1).uniform(0, 1, (3, 8, 8)))
    arguments = ["check", prototxt, "-w", weights, "-d", "CPU", "-i", str(tmp_path / "x.npy")]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "Device: CPU" in output and "emulation" not in output
    best = int(output.splitlines()[2].split()[1])
    assert main([*arguments, "-id", str(best)]) == 0 and main([*arguments, "-id", str((best + 1) % 5)]) == 1


def test_database(tmp_path, capsys):
    """Finds the images whose class changes, for a net whose classes differ by less than the precision of FP16."""
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
    kernel.data[1, 1, 0, 0] = 1e-4  # lost in an FP16 sum with a large first pixel
    net.save(weights)
    images = np.zeros((40, 3, 8, 8), np.uint8)
    images[:, 1], images[20:, 0] = 9, 200
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 24) as environment, environment.begin(write=True) as writer:
        for number, image in enumerate(images):
            writer.put(b"%04d" % number, datum.encode(image, 1))
    main(
        ["check", prototxt, "-w", weights, "-d", "FP16", "--lmdb", str(tmp_path / "db"), "--json", str(tmp_path / "j")]
    )
    assert "40 images: accuracy 1.0000 expected, 0.5000 received (-0.5000); 20 change class" in capsys.readouterr().out
    comparison = json.loads((tmp_path / "j").read_text())["dataset"]
    assert [flip["key"] for flip in comparison["flips"]] == [f"{number:04d}" for number in range(20, 40)]
    assert {(flip["label"], flip["expected"], flip["result"]) for flip in comparison["flips"]} == {(1, 1, 0)}
