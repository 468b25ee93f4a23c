"""AgeNet and GenderNet (Levi and Hassner, CVPR workshops 2015) and AgeGenderPrediction's nine-class offspring."""

from __future__ import annotations

import functools

from agegender.inference import labels
from agegender.zoo.assemble import RATES, constant, gaussian, input_net
from agegender.zoo.model import Net, Origin
from caffe.net_spec import NetSpec, layers, params

SHAPE = (3, 227, 227)
# Channel means (blue first) of the released mean image, which take its place while it is not in the cache.
MEAN = (78.4263377603, 87.7689143744, 114.895847746)


def body(classes):
    """The NetParameter up to `fc8`: pooling comes before normalisation, fc6 and fc7 start at deviation 0.005."""
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
        n["fc%d" % number] = layers.InnerProduct(
            top, num_output=512, param=RATES, weight_filler=gaussian(0.005), bias_filler=constant(1)
        )
        n["relu%d" % number] = layers.ReLU(n["fc%d" % number], in_place=True)
        n["drop%d" % number] = top = layers.Dropout(n["relu%d" % number], dropout_ratio=0.5, in_place=True)
    n.fc8 = layers.InnerProduct(
        top,
        num_output=classes,
        param=[{"lr_mult": 10, "decay_mult": 1}, {"lr_mult": 20, "decay_mult": 0}],
        weight_filler=gaussian(0.01),
        bias_filler=constant(0),
    )
    return input_net(n, (1, *SHAPE))


def _stage(n, bottom, number, outputs, kernel, bias, **geometry):
    conv, relu, pool, norm = ("%s%d" % (what, number) for what in ("conv", "relu", "pool", "norm"))
    n[conv] = layers.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, param=RATES, weight_filler=gaussian(0.01),
        bias_filler=constant(bias), **geometry,
    )  # fmt: skip
    n[relu] = layers.ReLU(n[conv], in_place=True)
    n[pool] = layers.Pooling(n[relu], pool=params.Pooling.MAX, kernel_size=3, stride=2)
    n[norm] = layers.LRN(n[pool], local_size=5, alpha=0.0001, beta=0.75)
    return n[norm]


def _released():
    from agegender.inference import face_crop
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=256, crop=227, mean=MEAN, landmarks=face_crop.ADIENCE)


def _tringn():
    """Resized at once to 227. --mean takes the data set's mean image; without it Adience's channel means stand in."""
    from agegender.inference import face_crop
    from caffe.device.transform import Transform

    return Transform(order="BGR", size=227, mean=MEAN, landmarks=face_crop.UTKFACE)


def _as_scripted(transform):
    """AgeGenderPrediction's run_inference.py: RGB into a net that learned BGR, and the mean of each channel only."""
    from agegender.inference.predict import as_original

    return as_original(transform)


_LEVI = "Levi and Hassner, Age and Gender Classification using CNNs, CVPR workshops 2015"
_ZIP = "cnn_age_gender_models_and_data.0.0.2.zip"
_BY_HAND = (
    "no checksum of the released weights is known here, so they are not fetched: get "
    + _ZIP
    + " (86 MB) from the authors' "
    "project page (talhassner.github.io), then `agegender zoo convert %s FILE` with the .zip or its caffemodel"
)
_MEAN = Origin(
    "levi-mean.binaryproto", 786446, "5b0547348e99b95f39bdc1dc2cf2053f406773ebf5b493ad660d649c2e1e825b",
    "for research, as is", ("https://raw.githubusercontent.com/GilLevi/AgeGenderDeepLearning/master/models/mean.binaryproto",),
    member="mean.binaryproto",
)  # fmt: skip
_OWN = Origin(note="trained here: ./run.sh")


def _release(task):
    return Origin(_ZIP, member=task + "_net.caffemodel", note=_BY_HAND % ("levi-" + task))


NETS = tuple(
    Net(name, family, task, title, source, kinds, count, SHAPE, transform, functools.partial(body, len(kinds)), "fc8",
        (("fc8", "label", 1.0),), origin=origin, deploy_file=path, mean=mean, compat=compat)
    for name, family, task, title, source, kinds, count, transform, origin, path, mean, compat in (
        ("levi-age", "levi", "age", "AgeNet of Levi and Hassner", _LEVI, labels.AGE_ADIENCE, 11415048, _released,
         _release("age"), "levi/AgeNet_deploy.prototxt", _MEAN, None),
        ("levi-gender", "levi", "gender", "GenderNet of Levi and Hassner", _LEVI, labels.MALE_FIRST, 11411970, _released,
         _release("gender"), "levi/GenderNet_deploy.prototxt", _MEAN, None),
        ("tringn-age", "tringn", "age", "AgeNet of AgeGenderPrediction", "tringn/AgeGenderPrediction",
         labels.AGE_TRINGN, 11415561, _tringn, _OWN, "AgeNet_deploy.prototxt", None, _as_scripted),
        ("tringn-gender", "tringn", "gender", "GenderNet of AgeGenderPrediction", "tringn/AgeGenderPrediction",
         labels.MALE_FIRST, 11411970, _tringn, _OWN, "GenderNet_deploy.prototxt", None, _as_scripted),
    )
)  # fmt: skip
