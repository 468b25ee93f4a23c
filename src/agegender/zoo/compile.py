"""Zoo nets as manifests that run_inference.py and every runner take: ONNX, IR and, when asked, a Myriad blob."""

from __future__ import annotations

import os

from agegender.zoo import assemble, download


def stem_of(net, folder):
    """Where the compiled net's files go: <stem>.onnx, .xml, .bin, .blob, .json, .prototxt."""
    return os.path.join(folder, net.name)


def names():
    """What `jobs` takes; with `jobs` the provider behind `ncs compile --model`."""
    from agegender import zoo

    return zoo.names()


def jobs(name, folder, weights=None, mean=None):
    """[(ncs.compiler.compile.Model, stem)] of the nets that a name of the zoo means."""
    from agegender import zoo

    return [job(net, folder, weights, mean) for net in zoo.resolve(name)]


def job(net, folder, weights=None, mean=None):
    """(ncs.compiler.compile.Model, stem) of a zoo net; its deploy prototxt is written beside the results.

    `weights` is a file instead of the cache's, of any kind that `zoo convert` takes, `mean` a mean file instead of the
    published one that the cache may hold.
    """
    from caffe.utils.atomic_io import write_bytes
    from ncs.compiler.compile import Model

    weights, mean = weights or download.weights_of(net), mean or download.mean_of(net)
    stem = stem_of(net, folder)
    os.makedirs(folder, exist_ok=True)
    if not weights.endswith(download.CAFFES):
        weights = download.convert(net, weights, stem + ".caffemodel")
    write_bytes(stem + ".prototxt", assemble.deploy_text(net))
    transform, parents = net.transform(), {}
    if mean:
        from agegender.inference import mean_landmarks
        from caffe.data.mean import read_mean

        image = read_mean(mean)
        seen = mean_landmarks.landmarks(image) or transform.landmarks
        transform, parents = transform.replace(mean=image, mean_fit="resize", landmarks=seen), {"mean": mean}
    labels = net.labels
    model = Model(
        net.name, stem + ".prototxt", weights, transform, list(labels.names), labels.name, labels.decoder, parents
    )
    return model, stem


def make(nets, folder, options, **changes):
    """Compile zoo nets into `folder`; returns their Manifests."""
    from ncs.compiler.compile import compile_models

    return compile_models([job(net, folder, **changes) for net in nets], options)
