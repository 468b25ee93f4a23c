"""AgeNet and GenderNet with seeded weights, compiled as ./compile2Movidius.sh does, for the inference benchmarks."""

from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def prepare(folder):
    """Write <net>.prototxt, .caffemodel, .onnx, .xml, .bin and .json of both nets to `folder`; return {net: stem}."""
    from agegender import workspace, zoo
    from caffe.device.transform import Transform
    from ncs.compiler import compile as compiler

    folder = Path(folder)
    mean = np.full((3, 227, 227), 110, np.float32)
    jobs = []
    for net in zoo.script_nets():
        name = net.name
        prototxt, weights = ROOT / "prototxt" / net.deploy_file, folder / (name + ".caffemodel")
        (folder / (name + ".prototxt")).write_text(prototxt.read_text())
        write_weights(prototxt, weights)
        transform = Transform(mean=mean, size=(227, 227))
        model = compiler.Model(name, str(prototxt), str(weights), transform, list(net.labels.names), net.labels.name)
        jobs.append((model, str(folder / name)))
    compiler.compile_models(jobs, compiler.Options(blob=False), say=lambda *_: None)
    return {name: str(folder / name) for name in workspace.NET_NAMES}


def write_weights(prototxt, path):
    """Write seeded weights with which the outputs differ between images."""
    import caffe

    caffe.set_random_seed(1)
    net = caffe.Net(str(prototxt), caffe.TEST)
    rng = np.random.default_rng(1)
    for blobs in net.params.values():
        fan_in = blobs[0].count / blobs[0].shape[0]
        blobs[0].data[...] = rng.normal(0, (2 / fan_in) ** 0.5, blobs[0].shape)
    net.save(str(path))


def write_int8(stem):
    """Write <stem>_int8.xml: <stem>.onnx quantized by NNCF with random images, which is enough to measure its time."""
    import nncf
    import openvino

    from caffe.utils.telemetry import telemetry_disabled

    nncf.set_log_level(40)
    rng = np.random.default_rng(2)
    images = [rng.normal(0, 60, (1, 3, 227, 227)).astype(np.float32) for _ in range(32)]
    with telemetry_disabled():
        model = nncf.quantize(openvino.convert_model(stem + ".onnx"), nncf.Dataset(images), subset_size=len(images))
    openvino.save_model(model, stem + "_int8.xml", compress_to_fp16=False)
