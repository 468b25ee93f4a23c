"""Worker: runs AgeNet on one batch repeatedly. inference_worker.py ENGINE STEM BATCH THREADS (ENGINE: see below)"""

import sys

import numpy as np
from worker import serve


def runner(stem, batch, threads):
    """The CPU runner of ncs.runtime."""
    from ncs.runtime import open_runner

    return open_runner("CPU", stem + ".json", batch=batch).run


def runner_bf16(stem, batch, threads):
    """The CPU runner in bfloat16."""
    from ncs.runtime import open_runner

    return open_runner("CPU", stem + ".json", batch=batch, precision="bf16").run


def net(stem, batch, threads):
    """The Caffe net of this project."""
    import torch

    from ncs.runtime import open_runner

    torch.set_num_threads(threads)
    return open_runner("CAFFE", [stem + ".prototxt", stem + ".caffemodel"], batch=batch).run


def openvino(stem, batch, threads):
    """OpenVINO's own API, float32."""
    return _openvino(stem + ".onnx", batch)


def openvino_int8(stem, batch, threads):
    """OpenVINO's own API with the net in INT8."""
    return _openvino(stem + "_int8.xml", batch)


def _openvino(path, batch):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([batch, 3, 227, 227])
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda data: request.infer({0: data})


def onnxruntime(stem, batch, threads):
    """ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = _with_batch(stem, batch)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0].name
    return lambda data: session.run(None, {source: data})


def _with_batch(stem, batch):
    """Write the ONNX file with another batch size; return its path."""
    import onnx

    model = onnx.load(stem + ".onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
    for constant in model.graph.initializer:
        if constant.data_type == onnx.TensorProto.INT64:
            values = onnx.numpy_helper.to_array(constant).copy()
            if values.size == 2 and values[0] == 1:  # the target shape of a Reshape
                values[0] = batch
                constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))
    path = f"{stem}_{batch}.onnx"
    onnx.save(model, path)
    return path


def opencv(stem, batch, threads):
    """OpenCV's dnn module with its Caffe importer."""
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromCaffe(stem + ".prototxt", stem + ".caffemodel")

    def run(data):
        net.setInput(data)
        return net.forward()

    return run


def caffe(stem, batch, threads):
    """Real Caffe."""
    import caffe

    net = caffe.Net(stem + ".prototxt", stem + ".caffemodel", caffe.TEST)
    source = net.inputs[0]
    net.blobs[source].reshape(batch, 3, 227, 227)
    net.reshape()

    def run(data):
        net.blobs[source].data[...] = data
        return net.forward()

    return run


if __name__ == "__main__":
    engine, stem, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    data = np.random.RandomState(0).normal(0, 60, (batch, 3, 227, 227)).astype(np.float32)
    run = globals()[engine](stem, batch, threads)
    serve(lambda: run(data))
