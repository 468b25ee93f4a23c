"""AgeNet and GenderNet (Levi and Hassner, CVPR workshops 2015) and AgeGenderPrediction's version with nine classes."""

from __future__ import annotations

import functools

from agegender.inference import labels
from agegender.zoo.assemble import RATES, constant, gaussian, input_net
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, layers, params
from caffe.proto.caffe_pb2 import NetParameter

SHAPE = (3, 227, 227)
# Channel means (BGR) of the released mean image, used while the image is not in the cache.
MEAN = (78.4263377603, 87.7689143744, 114.895847746)


def body(classes: int) -> NetParameter:
    """The NetParameter up to `fc8`; pooling comes before LRN, fc6 and fc7 start with a standard deviation of 0.005."""
    n = NetSpec()
    n.data = layers.Input(shape=[{"dim": [1, *SHAPE]}])
    top = _stage(n, n.data, 1, 96, 7, 0, stride=4)
    top = _stage(n, top, 2, 256, 5, 1, pad=2)
    n.conv3 = layers.Convolution(
        top, num_output=384, kernel_size=3, pad=1, param=RATES, weight_filler=gaussian(0.01), bias_filler=constant(0)
    )
    n.relu3 = layers.ReLU(n.conv3, in_place=True)
    n.pool5 = layers.Pooling(n.relu3, pool=params.Pooling.MAX, kernel_size=3, stride=2)
    top = n.pool5
    for number in (6, 7):
        n[f"fc{number}"] = layers.InnerProduct(
            top, num_output=512, param=RATES, weight_filler=gaussian(0.005), bias_filler=constant(1)
        )
        n[f"relu{number}"] = layers.ReLU(n[f"fc{number}"], in_place=True)
        n[f"drop{number}"] = top = layers.Dropout(n[f"relu{number}"], dropout_ratio=0.5, in_place=True)
    n.fc8 = layers.InnerProduct(
        top,
        num_output=classes,
        param=[{"lr_mult": 10, "decay_mult": 1}, {"lr_mult": 20, "decay_mult": 0}],
        weight_filler=gaussian(0.01),
        bias_filler=constant(0),
    )
    return input_net(n, (1, *SHAPE))


def _stage(n, bottom, number, outputs, kernel, bias, **geometry):
    conv, relu, pool, norm = (f"{stem}{number}" for stem in ("conv", "relu", "pool", "norm"))
    n[conv] = layers.Convolution(
        bottom,
        num_output=outputs,
        kernel_size=kernel,
        param=RATES,
        weight_filler=gaussian(0.01),
        bias_filler=constant(bias),
        **geometry,
    )
    n[relu] = layers.ReLU(n[conv], in_place=True)
    n[pool] = layers.Pooling(n[relu], pool=params.Pooling.MAX, kernel_size=3, stride=2)
    n[norm] = layers.LRN(n[pool], local_size=5, alpha=0.0001, beta=0.75)
    return n[norm]


def _released():
    from agegender.inference.faces import face_settings
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=256, crop=227, mean=MEAN, application=face_settings.ADIENCE)


def _tringn():
    """Resized directly to 227. --mean sets the data set's mean image; without it Adience's channel means are used."""
    from agegender.inference.faces import face_settings
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=227, mean=MEAN, application=face_settings.UTKFACE)


def _as_scripted(transform):
    """AgeGenderPrediction's run_inference.py: RGB for a net trained on BGR, and only the mean of each channel."""
    from agegender.inference.net_predictor import as_original

    return as_original(transform)


_LEVI = "Levi and Hassner, Age and Gender Classification using CNNs, CVPR workshops 2015"
_ZIP = "cnn_age_gender_models_and_data.0.0.2.zip"
_BY_HAND = (
    f"the released weights have no known checksum, so they are not downloaded automatically: get {_ZIP} (86 MB) from "
    "the authors' project page (talhassner.github.io), then run `agegender zoo convert %s FILE` with the .zip or its "
    "caffemodel"
)
_MEAN = Origin(
    file="levi-mean.binaryproto",
    size=786446,
    sha256="5b0547348e99b95f39bdc1dc2cf2053f406773ebf5b493ad660d649c2e1e825b",
    licence="for research, as is",
    urls=("https://raw.githubusercontent.com/GilLevi/AgeGenderDeepLearning/master/models/mean.binaryproto",),
    member="mean.binaryproto",
)
_OWN = Origin(note="trained by ./run.sh")


def _release(task):
    return Origin(_ZIP, member=task + "_net.caffemodel", note=_BY_HAND % ("levi-" + task))


def _net(task, net_labels, parameters, **fields):
    return Net(
        task=task,
        labels=net_labels,
        parameters=parameters,
        shape=SHAPE,
        body=functools.partial(body, len(net_labels)),
        logits="fc8",
        losses=(("fc8", "label", 1.0),),
        **fields,
    )


def _levi(task, title, *args):
    return _net(
        task,
        *args,
        name="levi-" + task,
        family="levi",
        title=f"{title} of Levi and Hassner",
        source=_LEVI,
        transform=_released,
        origin=_release(task),
        deploy_file=f"levi/{title}_deploy.prototxt",
        mean=_MEAN,
    )


def _age_gender_prediction(task, title, *args):
    return _net(
        task,
        *args,
        name=title,
        family="tringn",
        title=f"{title} of AgeGenderPrediction",
        source="tringn/AgeGenderPrediction",
        transform=_tringn,
        origin=_OWN,
        deploy_file=f"{title}_deploy.prototxt",
        compat=_as_scripted,
    )


NETS = (
    _levi("age", "AgeNet", labels.AGE_ADIENCE, 11415048),
    _levi("gender", "GenderNet", labels.MALE_FIRST, 11411970),
    _age_gender_prediction("age", "AgeNet", labels.AGE_TRINGN, 11415561),
    _age_gender_prediction("gender", "GenderNet", labels.MALE_FIRST, 11411970),
)
