"""The nets of the training benchmarks: definitions, solvers and seeded databases, written to a folder."""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

# name: (batch size, channels, height and width, classes)
NETS = {
    "AgeNet": (50, 3, 227, 9),
    "GenderNet": (50, 3, 227, 2),
    "GoogLeNet": (32, 3, 224, 1000),
    "SqueezeNet": (16, 3, 227, 1000),
    "ResNet-50": (16, 3, 224, 1000),
    "MobileNet": (16, 3, 224, 1000),
    "VGG-16": (8, 3, 224, 1000),
    "small ResNet": (32, 3, 112, 10),
    "CIFAR-10 quick": (100, 3, 32, 10),
    "CIFAR-10 full": (100, 3, 32, 10),
    "LeNet": (64, 1, 28, 10),
}


def prepare(folder, name, encoded=False):
    """Write database, mean, net and solver of `name` to a subfolder of `folder`; return the solver's path.

    Real Caffe and this project read the same files. The solver writes no snapshots and runs no tests.
    """
    batch, channels, side, classes = NETS[name]
    target = Path(folder) / (name.replace(" ", "_") + ("_encoded" if encoded else ""))
    target.mkdir(parents=True, exist_ok=True)
    count = 4 * batch
    if not (target / "db").exists():
        _database(target, count, (channels, side, side), classes, encoded)
    (target / "net.prototxt").write_text(_data(target, batch, encoded and channels == 3) + _body(name))
    (target / "solver.prototxt").write_text(
        f'net: "{target}/net.prototxt" base_lr: 0.0001 momentum: 0.9 weight_decay: 0.0005 lr_policy: "fixed" '
        "max_iter: 1000000\ndisplay: 0 snapshot_after_train: false random_seed: 1 solver_mode: CPU\n"
    )
    return target / "solver.prototxt"


def _database(target, count, shape, classes, encoded):
    from caffe.data import datum, mean
    from caffe.data.db import create_db

    rng = np.random.default_rng(0)
    total = np.zeros(shape, np.float64)
    with create_db(str(target / "db"), "lmdb") as writer:
        for i in range(count):
            image = smooth_image(rng, shape)
            total += image
            label = int(rng.integers(classes))
            value = _jpeg(image, label) if encoded else datum.encode(image, label)
            writer.put(b"%08d" % i, value)
    mean.write_mean(str(target / "mean.binaryproto"), (total / count).astype(np.float32))


def smooth_image(rng, shape):
    """Return an image (C, H, W) that compresses like a photograph."""
    import cv2

    small = rng.integers(0, 256, (8, 8, shape[0]), dtype=np.uint8)
    large = cv2.resize(small, shape[:0:-1], interpolation=cv2.INTER_CUBIC).reshape(*shape[1:], shape[0])
    noisy = large + rng.normal(0, 4, large.shape)
    return np.ascontiguousarray(np.clip(noisy, 0, 255).astype(np.uint8).transpose(2, 0, 1))


def _jpeg(image, label):
    import cv2

    from caffe.data import datum

    _, data = cv2.imencode(".jpg", image.transpose(1, 2, 0), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return datum.encode(None, label, data.tobytes())


def _data(target, batch, colour):
    force_color = "force_color: true " if colour else ""
    return f"""layer {{ name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ mean_file: "{target}/mean.binaryproto" {force_color}}}
  data_param {{ source: "{target}/db" backend: LMDB batch_size: {batch} }} }}
"""


# nets of the repository; the others are defined below
PROTOTXT = {
    "AgeNet": "AgeNet_train_test.prototxt",
    "GenderNet": "GenderNet_train_test.prototxt",
    "SqueezeNet": "squeezenet/train_val.prototxt",
    "ResNet-50": "resnet50/train_val.prototxt",
    "VGG-16": "vgg16/train_val.prototxt",
}


def _body(name):
    if name in PROTOTXT:
        return _without_data(ROOT / "prototxt" / PROTOTXT[name])
    return {
        "LeNet": lenet,
        "CIFAR-10 quick": cifar10_quick,
        "CIFAR-10 full": cifar10_full,
        "GoogLeNet": googlenet,
        "MobileNet": mobilenet,
        "small ResNet": small_resnet,
    }[name]()


def _without_data(path):
    """Return the training layers of a train_test prototxt without its data layers."""
    from caffe.proto import caffe_pb2, text
    from caffe.proto.read import read_net

    param = read_net(str(path)).param
    layers = [
        layer
        for layer in param.layer
        if layer.type != "Data" and not any(rule.phase == caffe_pb2.TEST for rule in layer.include)
    ]
    del param.layer[:]
    param.layer.extend(layers)
    return text.format(param)


def _layer(layer_type, name, bottom, top=None, **param):
    text = f'layer {{ name: "{name}" type: "{layer_type}" '
    text += "".join(f'bottom: "{b}" ' for b in ([bottom] if isinstance(bottom, str) else bottom))
    text += f'top: "{top or name}" '
    for key, value in param.items():
        text += f"{key} {{ {value} }} " if isinstance(value, str) else ""
    return text + "}\n"


def _conv(name, bottom, outputs, kernel, stride=1, pad=0, extra=""):
    param = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad} {extra}"
    param += 'weight_filler { type: "xavier" }'
    return _layer("Convolution", name, bottom, convolution_param=param)


def _relu(blob):
    return _layer("ReLU", "relu_" + blob, blob, blob)


def _pool(name, bottom, method, kernel, stride, pad=0):
    param = f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad}"
    return _layer("Pooling", name, bottom, pooling_param=param)


def _inner_product(name, bottom, outputs):
    param = f'num_output: {outputs} weight_filler {{ type: "xavier" }}'
    return _layer("InnerProduct", name, bottom, inner_product_param=param)


def _loss(bottom, name="loss"):
    return _layer("SoftmaxWithLoss", name, [bottom, "label"])


def lenet():
    """LeNet of Caffe's MNIST example."""
    return (
        _conv("conv1", "data", 20, 5)
        + _pool("pool1", "conv1", "MAX", 2, 2)
        + _conv("conv2", "pool1", 50, 5)
        + _pool("pool2", "conv2", "MAX", 2, 2)
        + _inner_product("ip1", "pool2", 500)
        + _relu("ip1")
        + _inner_product("ip2", "ip1", 10)
        + _loss("ip2")
    )


def cifar10_quick():
    """The quick net of Caffe's CIFAR-10 example."""
    return (
        _conv("conv1", "data", 32, 5, pad=2)
        + _pool("pool1", "conv1", "MAX", 3, 2)
        + _relu("pool1")
        + _conv("conv2", "pool1", 32, 5, pad=2)
        + _relu("conv2")
        + _pool("pool2", "conv2", "AVE", 3, 2)
        + _conv("conv3", "pool2", 64, 5, pad=2)
        + _relu("conv3")
        + _pool("pool3", "conv3", "AVE", 3, 2)
        + _inner_product("ip1", "pool3", 64)
        + _inner_product("ip2", "ip1", 10)
        + _loss("ip2")
    )


def cifar10_full():
    """The full net of Caffe's CIFAR-10 example: two LRN layers within channels."""
    text = ""
    for number, (bottom, outputs) in enumerate((("data", 32), ("norm1", 32), ("norm2", 64)), 1):
        conv, pool, norm = f"conv{number}", f"pool{number}", f"norm{number}"
        text += _conv(conv, bottom, outputs, 5, pad=2)
        # as in Caffe's example, the first ReLU is behind its pooling
        text += (
            _pool(pool, conv, "MAX", 3, 2) + _relu(pool)
            if number == 1
            else _relu(conv) + _pool(pool, conv, "AVE", 3, 2)
        )
        if number < 3:
            lrn = "local_size: 3 alpha: 0.00005 beta: 0.75 norm_region: WITHIN_CHANNEL"
            text += _layer("LRN", norm, pool, lrn_param=lrn)
    return text + _inner_product("ip1", "pool3", 10) + _loss("ip1")


# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection (Szegedy et al. 2014, table 1)
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet():
    """GoogLeNet with one classifier."""
    norm = {"lrn_param": "local_size: 5 alpha: 0.0001 beta: 0.75"}
    text = _conv("conv1", "data", 64, 7, 2, 3) + _relu("conv1") + _pool("pool1", "conv1", "MAX", 3, 2)
    text += _layer("LRN", "norm1", "pool1", **norm) + _conv("reduce2", "norm1", 64, 1) + _relu("reduce2")
    text += _conv("conv2", "reduce2", 192, 3, pad=1) + _relu("conv2") + _layer("LRN", "norm2", "conv2", **norm)
    text += _pool("pool2", "norm2", "MAX", 3, 2)
    blob = "pool2"
    for name, sizes in INCEPTIONS.items():
        text += _inception(name, blob, *sizes)
        blob = name
        if name in ("3b", "4e"):
            text += _pool("pool_" + name, blob, "MAX", 3, 2)
            blob = "pool_" + name
    text += _pool("mean", blob, "AVE", 7, 1)
    text += _layer("Dropout", "drop", "mean", "mean", dropout_param="dropout_ratio: 0.4")
    return text + _inner_product("classes", "mean", 1000) + _loss("classes")


def _inception(name, bottom, one, reduce3, three, reduce5, five, projection):
    branches, text = [], ""
    for stem, chain in (
        ("a", [(one, 1, 0)]),
        ("b", [(reduce3, 1, 0), (three, 3, 1)]),
        ("c", [(reduce5, 1, 0), (five, 5, 2)]),
        ("d", [(projection, 1, 0)]),
    ):
        blob = bottom
        if stem == "d":
            text += _pool(name + "_pool", bottom, "MAX", 3, 1, 1)
            blob = name + "_pool"
        for number, (outputs, kernel, pad) in enumerate(chain):
            top = f"{name}_{stem}{number}"
            text += _conv(top, blob, outputs, kernel, pad=pad) + _relu(top)
            blob = top
        branches.append(blob)
    return text + _layer("Concat", name, branches)


def small_resnet():
    """Residual blocks of two 3x3 convolutions (He et al. 2015) with BatchNorm and Scale, 32 to 256 channels."""
    text, blob = _conv_batch_norm("stem", "data", 32, 3, 2, 1), "stem"
    for i, width in enumerate((32, 64, 128, 256)):
        for j in range(2):
            name, stride = f"block{i}{j}", 2 if i and not j else 1
            text += _conv_batch_norm(name + "_a", blob, width, 3, stride, 1)
            text += _conv_batch_norm(name + "_b", name + "_a", width, 3, 1, 1, relu=False)
            if stride == 2:
                text += _conv_batch_norm(name + "_c", blob, width, 1, 2, 0, relu=False)
                blob = name + "_c"
            text += _layer("Eltwise", name, [blob, name + "_b"]) + _relu(name)
            blob = name
    text += _layer("Pooling", "mean", blob, pooling_param="pool: AVE global_pooling: true")
    return text + _inner_product("classes", "mean", 10) + _loss("classes")


# outputs and stride of the pointwise convolution after each depthwise one (Howard et al. 2017, table 1)
SEPARABLE = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def mobilenet():
    """MobileNet with depthwise convolutions as groups, BatchNorm and Scale."""
    text, blob, width = _conv_batch_norm("conv1", "data", 32, 3, 2, 1), "conv1", 32
    for number, (outputs, stride) in enumerate(SEPARABLE, 2):
        name = f"conv{number}"
        text += _conv_batch_norm(name + "_dw", blob, width, 3, stride, 1, extra=f"group: {width} bias_term: false ")
        text += _conv_batch_norm(name, name + "_dw", outputs, 1, 1, 0, extra="bias_term: false ")
        blob, width = name, outputs
    text += _layer("Pooling", "mean", blob, pooling_param="pool: AVE global_pooling: true")
    return text + _inner_product("classes", "mean", 1000) + _loss("classes")


def _conv_batch_norm(name, bottom, outputs, kernel, stride, pad, relu=True, extra=""):
    text = _conv(name, bottom, outputs, kernel, stride, pad, extra) + _layer("BatchNorm", name + "_norm", name, name)
    text += _layer("Scale", name + "_scale", name, name, scale_param="bias_term: true")
    return text + (_relu(name) if relu else "")


if __name__ == "__main__":
    for name in sys.argv[2:] or NETS:
        print(prepare(sys.argv[1], name))
