"""Convolution, BatchNorm and Scale as one layer: against plain NumPy, and against what the Myriad compiler makes of them."""

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


def made(folder, text):
    prototxt, weights = caffe_nets.tiny(folder, INPUT + text)
    net = caffe_nets.seeded(prototxt)
    if "bn" in net.params:
        mean, variance, share = net.params["bn"]
        variance.data[...] = np.abs(variance.data) + 0.3
        share.data[...] = 2
    net.save(weights)
    return prototxt, weights, net


def by_hand(net, picture):
    """One convolution whose kernels and constants are the products, rounded; its values rounded once. In double precision."""
    params = {name: [blob.data.astype(np.float64) for blob in blobs] for name, blobs in net.params.items()}
    factor, constant = np.ones(4), np.zeros(4)
    if "bn" in params:
        mean, variance, share = params["bn"]
        factor = 1 / np.sqrt(variance / share + 0.001)
        constant = -mean / share * factor
    if "scale" in params:
        factor, constant = factor * params["scale"][0], constant * params["scale"][0] + params["scale"][1]
    kernels = params["conv"][0] * factor[:, None, None, None]
    constant = constant + (params["conv"][1] * factor if len(params["conv"]) > 1 else 0)
    kernels, constant, x = (np.asarray(a).astype(np.float16).astype(np.float64) for a in (kernels, constant, picture))
    out = np.zeros((1, 4, 4, 4))
    for o, i, j in np.ndindex(4, 4, 4):
        out[0, o, i, j] = (x[0, :, i : i + 3, j : j + 3] * kernels[o]).sum() + constant[o]
    return out.astype(np.float16).astype(np.float64)


@pytest.mark.parametrize("chain", CHAINS)
def test_what_is_rounded_is_the_product(tmp_path, chain):
    _, _, net = made(tmp_path, CHAINS[chain])
    picture = np.random.RandomState(2).standard_normal((1, 3, 6, 6)).astype(np.float32)
    right = by_hand(net, picture)
    fp16_emulation.round_weights(net)
    found = fp16_emulation.answer(net, picture, True).reshape(1, 4, 4, 4)
    steps = np.abs(found - right) / np.maximum(np.spacing(np.abs(right).astype(np.float16)).astype(np.float64), 2**-24)
    assert steps.max() <= 1


@pytest.mark.parametrize(
    "text, behind",
    [
        (CHAINS["in place"], (2, 3)),
        (CHAINS["BatchNorm alone"], (2,)),
        (CONV % "true", None),
        (CHAINS["BatchNorm alone"] + 'layer { name: "more" type: "ReLU" bottom: "conv" top: "more" }', None),
    ],
)
def test_what_becomes_one_layer(tmp_path, text, behind):
    _, _, net = made(tmp_path, text)
    assert [merge.behind for merge in conv_bn_fusion.merges(net)] == ([behind] if behind else [])


def test_the_compiler_makes_one_layer_of_them_too(compiler, tmp_path):
    """As many stages with BatchNorm and Scale behind the convolution as without; one more where they stand alone."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.compiler import Job, compile_blobs

    alone = NORM % ("data", "bn") + SCALE % ("bn", "scale")
    texts = {"plain": CONV % "true", **CHAINS, "nothing to join": alone}
    for name, text in texts.items():
        export_net(made(tmp_path, text)[2], str(tmp_path / (name + ".onnx")))
    compile_blobs([Job(str(tmp_path / (name + ".onnx")), str(tmp_path / (name + ".blob"))) for name in texts])
    counts = {name: read_blob(tmp_path / (name + ".blob")).counts() for name in texts}
    assert all(counts[name] == counts["plain"] for name in CHAINS)
    assert counts["nothing to join"]["ScaleShift"] == 1


def test_values_that_are_never_formed_do_not_overflow(tmp_path, capsys):
    """The convolution's own values reach 1e6; the variance brings them back within the one layer that the device runs."""
    prototxt, weights, net = made(tmp_path, CHAINS["own tops"])
    net.params["conv"][0].data[...] *= 1e7
    net.params["bn"][1].data[...] *= 1e14
    net.save(weights)
    assert main(["check", prototxt, "-w", weights, "-d", "FP16", "--layers"]) == 0
    said = capsys.readouterr().out
    assert "one with the next" in said and "divergence" not in said


def test_an_overflow_between_batchnorms_is_cured(tmp_path, capsys):
    """The factor goes through BatchNorm by its mean alone: its variance, and the eps beside it, stay."""
    text = CONV % "false" + NORM % ("conv", "bn") + SCALE % ("bn", "scale")
    text += 'layer { name: "relu" type: "ReLU" bottom: "scale" top: "scale" }'
    text += (
        'layer { name: "bn2" type: "BatchNorm" bottom: "scale" top: "bn2" } layer { name: "scale2" type: "Scale" '
        'bottom: "bn2" top: "bn2" scale_param { bias_term: true } } '
        'layer { name: "fc" type: "InnerProduct" bottom: "bn2" top: "fc" inner_product_param { num_output: 3 } }'
    )
    prototxt, weights, net = made(tmp_path, text)
    mean, variance, share = net.params["bn2"]
    mean.data[...], variance.data[...], share.data[...] = 5000, 1, 1
    net.params["scale"][0].data[...] *= 2e5
    net.params["scale2"][0].data[...] /= 1e5
    net.save(weights)
    cured = str(tmp_path / "cured.caffemodel")
    assert main(["check", prototxt, "-w", weights, "-d", "FP16", "--write-scaled", cured]) == 1
    said = capsys.readouterr().out
    assert "scale: weights x 2^-" in said and "bn2: mean x 2^-" in said and "variance" not in said
    plain, scaled = caffe_nets.seeded(prototxt), caffe_nets.seeded(prototxt)
    plain.copy_from(weights)
    scaled.copy_from(cured)
    picture = np.random.RandomState(1).uniform(0, 255, (1, 3, 6, 6)).astype(np.float32)
    right = np.array(plain.forward(data=picture)["fc"])
    np.testing.assert_allclose(scaled.forward(data=picture)["fc"], right, rtol=1e-5, atol=1e-5 * np.abs(right).max())
    main(["check", prototxt, "-w", cured, "-d", "FP16", "--layers"])
    assert "values overflow" not in capsys.readouterr().out
