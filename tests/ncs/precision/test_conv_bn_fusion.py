"""Fused Convolution, BatchNorm and Scale: compared with NumPy, and with the stages of the Myriad compiler."""

import numpy as np
import pytest
from support import caffe_nets

from caffe.convert.onnx_export import export_net
from ncs.cli import main
from ncs.precision import conv_bn_fusion, fp16_emulation

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }'
CONV = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    "convolution_param { num_output: 4 kernel_size: 3 bias_term: %s } }"
)
NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "%s" top: "%s" batch_norm_param { eps: 0.001 } }'
SCALE = 'layer { name: "scale" type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: true } }'
CHAINS = {
    "in place": CONV % "false" + NORM % ("conv", "conv") + SCALE % ("conv", "conv"),
    "own tops": CONV % "true" + NORM % ("conv", "bn") + SCALE % ("bn", "scale"),
    "BatchNorm alone": CONV % "false" + NORM % ("conv", "bn"),
    "Scale alone": CONV % "false" + SCALE % ("conv", "scale"),
}


def build(folder, text):
    prototxt, weights = caffe_nets.tiny(folder, INPUT + text)
    net = caffe_nets.seeded(prototxt)
    if "bn" in net.params:
        mean, variance, count = net.params["bn"]
        variance.data[...] = np.abs(variance.data) + 0.3
        count.data[...] = 2
    net.save(weights)
    return prototxt, weights, net


def by_hand(net, image):
    """Compute one convolution with the rounded product of the weights in double precision; round its output once."""
    params = {name: [blob.data.astype(np.float64) for blob in blobs] for name, blobs in net.params.items()}
    factor, constant = np.ones(4), np.zeros(4)
    if "bn" in params:
        mean, variance, count = params["bn"]
        factor = 1 / np.sqrt(variance / count + 0.001)
        constant = -mean / count * factor
    if "scale" in params:
        factor, constant = factor * params["scale"][0], constant * params["scale"][0] + params["scale"][1]
    kernels = params["conv"][0] * factor[:, None, None, None]
    constant = constant + (params["conv"][1] * factor if len(params["conv"]) > 1 else 0)
    kernels, constant, x = (np.asarray(a).astype(np.float16).astype(np.float64) for a in (kernels, constant, image))
    out = np.zeros((1, 4, 4, 4))
    for o, i, j in np.ndindex(4, 4, 4):
        out[0, o, i, j] = (x[0, :, i : i + 3, j : j + 3] * kernels[o]).sum() + constant[o]
    return out.astype(np.float16).astype(np.float64)


@pytest.mark.parametrize("chain", CHAINS)
def test_the_product_is_rounded(tmp_path, chain):
    _, _, net = build(tmp_path, CHAINS[chain])
    image = np.random.RandomState(2).standard_normal((1, 3, 6, 6)).astype(np.float32)
    expected = by_hand(net, image)
    fp16_emulation.round_weights(net)
    result = fp16_emulation.predict(net, image, True).reshape(1, 4, 4, 4)
    ulp = np.maximum(np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64), 2**-24)
    assert (np.abs(result - expected) / ulp).max() <= 1


@pytest.mark.parametrize(
    "text, followers",
    [
        (CHAINS["in place"], (2, 3)),
        (CHAINS["BatchNorm alone"], (2,)),
        (CONV % "true", None),
        (CHAINS["BatchNorm alone"] + 'layer { name: "more" type: "ReLU" bottom: "conv" top: "more" }', None),
    ],
)
def test_find_fusions(tmp_path, text, followers):
    _, _, net = build(tmp_path, text)
    assert [fusion.followers for fusion in conv_bn_fusion.find_fusions(net)] == ([followers] if followers else [])


def test_compiler_fuses_the_same_layers(compiler, tmp_path):
    """BatchNorm and Scale after a convolution add no stage; without a convolution they add one."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.compiler import Job, compile_blobs

    alone = NORM % ("data", "bn") + SCALE % ("bn", "scale")
    texts = {"plain": CONV % "true", **CHAINS, "no convolution": alone}
    for name, text in texts.items():
        export_net(build(tmp_path, text)[2], str(tmp_path / (name + ".onnx")))
    compile_blobs([Job(str(tmp_path / (name + ".onnx")), str(tmp_path / (name + ".blob"))) for name in texts])
    counts = {name: read_blob(tmp_path / (name + ".blob")).counts() for name in texts}
    assert all(counts[name] == counts["plain"] for name in CHAINS)
    assert counts["no convolution"]["ScaleShift"] == 1


def test_values_inside_a_fusion_do_not_overflow(tmp_path, capsys):
    """The convolution's values reach 1e6, but the variance reduces them within the fused layer."""
    prototxt, weights, net = build(tmp_path, CHAINS["own tops"])
    net.params["conv"][0].data[...] *= 1e7
    net.params["bn"][1].data[...] *= 1e14
    net.save(weights)
    assert main(["check", prototxt, "-w", weights, "-d", "FP16", "--layers"]) == 0
    output = capsys.readouterr().out
    assert "fused with the next layer" in output and "divergence" not in output


def test_overflow_between_batchnorms_is_scaled_away(tmp_path, capsys):
    """The factor changes only the mean of BatchNorm, not its variance and eps."""
    text = CONV % "false" + NORM % ("conv", "bn") + SCALE % ("bn", "scale")
    text += 'layer { name: "relu" type: "ReLU" bottom: "scale" top: "scale" }'
    text += (
        'layer { name: "bn2" type: "BatchNorm" bottom: "scale" top: "bn2" } layer { name: "scale2" type: "Scale" '
        'bottom: "bn2" top: "bn2" scale_param { bias_term: true } } '
        'layer { name: "fc" type: "InnerProduct" bottom: "bn2" top: "fc" inner_product_param { num_output: 3 } }'
    )
    prototxt, weights, net = build(tmp_path, text)
    mean, variance, count = net.params["bn2"]
    mean.data[...], variance.data[...], count.data[...] = 5000, 1, 1
    net.params["scale"][0].data[...] *= 2e5
    net.params["scale2"][0].data[...] /= 1e5
    net.save(weights)
    scaled_weights = str(tmp_path / "scaled.caffemodel")
    assert main(["check", prototxt, "-w", weights, "-d", "FP16", "--write-scaled", scaled_weights]) == 1
    output = capsys.readouterr().out
    assert "scale: weights x 2^-" in output and "bn2: mean x 2^-" in output and "variance" not in output
    plain, scaled = caffe_nets.seeded(prototxt), caffe_nets.seeded(prototxt)
    plain.copy_from(weights)
    scaled.copy_from(scaled_weights)
    image = np.random.RandomState(1).uniform(0, 255, (1, 3, 6, 6)).astype(np.float32)
    expected = np.array(plain.forward(data=image)["fc"])
    np.testing.assert_allclose(
        scaled.forward(data=image)["fc"], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )
    main(["check", prototxt, "-w", scaled_weights, "-d", "FP16", "--layers"])
    assert "values overflow" not in capsys.readouterr().out
