"""From a zoo net's body to its deploy net, its training net and its prototxt files."""

from __future__ import annotations

import textwrap

from caffe.proto import caffe_pb2, text

RATES = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]


def constant(value=0):
    """A constant filler."""
    return {"type": "constant", "value": value}


def gaussian(std):
    """A Gaussian filler of mean 0."""
    return {"type": "gaussian", "std": std}


def input_net(spec, shape):
    """NetParameter of a NetSpec whose `data` is an Input of `shape`, declared first."""
    param = spec.to_proto()
    data = next(layer for layer in param.layer if layer.name == "data")
    data.input_param.shape[0].dim[:] = shape
    return param


def deploy_param(net):
    """The NetParameter that answers one picture: body up to the logits, Softmax, without what only training needs."""
    param = answers_param([net], [net.blobs[1]])
    param.name = net.name
    return _renamed(param, "data", net.blobs[0])


def answers_param(nets, tops):
    """The deploy NetParameter of nets that share a body, with one Softmax an answer, named by `tops`."""
    param = unfolded_param(nets, tops)
    if nets[0].folded:
        from caffe.convert.fold_batch_norm import fold_norm

        param, _ = fold_norm(param, zeros(param))
    return param


def unfolded_param(nets, tops):
    """`answers_param` before normalisations are folded: with the layers that a snapshot of the training has."""
    from caffe.convert.deploy import fold_dropout, strip_training_fields

    param = nets[0].body()
    for net, top in zip(nets, tops):
        param.layer.add(type="Softmax", name=top, bottom=[net.logits], top=[top])
    return strip_training_fields(fold_dropout(_towards(param, tops)))


def zeros(param):
    """{layer: [arrays]} of a deploy NetParameter, all zero (there are no fillers)."""
    from caffe.net.net import Net

    return {name: [blob.data for blob in blobs] for name, blobs in Net.from_param(param, caffe_pb2.TEST).params.items()}


def _towards(param, tops):
    """The layers on which the blobs `tops` depend, in order."""
    wanted, kept = set(tops), []
    for layer in reversed(param.layer):
        if wanted & set(layer.top):
            kept.append(layer)
            wanted.update(layer.bottom)
    out = caffe_pb2.NetParameter(name=param.name)
    out.layer.extend(reversed(kept))
    return out


def _renamed(param, old, new):
    for layer in param.layer:
        for names in (layer.bottom, layer.top):
            names[:] = [new if name == old else name for name in names]
        if layer.name == old:
            layer.name = new
    return param


def train_param(net, data_layers):
    """The training NetParameter: `data_layers` (giving `data` and the labels) before the body, a loss a head after it."""
    body = net.body()
    out = caffe_pb2.NetParameter(name=net.weights)
    out.layer.extend(data_layers)
    out.layer.extend(layer for layer in body.layer if layer.name != "data")
    for logits, label, weight in net.losses:
        out.layer.add(
            type="SoftmaxWithLoss", name="loss_" + logits, bottom=[logits, label], top=["loss_" + logits],
            loss_weight=[weight],
        )  # fmt: skip
    return out


def label_names(net):
    """The label blobs that the training of `net` reads, in order of first use."""
    return list(dict.fromkeys(label for _, label, _ in net.losses))


def deploy_net(net, weights=None):
    """The runnable deploy Net, with the arrays of `weights` ({layer: [array]}) or the zeros of no filler."""
    from caffe.net.net import Net

    built = Net.from_param(deploy_param(net), caffe_pb2.TEST)
    if weights is not None:
        fill(built, net, weights)
    return built


def fill(built, net, weights):
    """Copy {layer: [array]} into a Net; what is missing or misshapen is told at once."""
    match(built, net, weights)
    for name, blobs in built.params.items():
        for blob, array in zip(blobs, weights[name]):
            blob.data[...] = array.reshape(tuple(blob.shape))


def check(net, weights):
    """Raise AgeGenderError unless {layer: [array]} has every array of the net's deploy form."""
    match(deploy_net(net), net, weights)


def match(built, net, weights):
    """Raise AgeGenderError unless {layer: [array]} has every array of the Net `built`, which is a form of `net`."""
    from agegender.errors import AgeGenderError
    from caffe.weights.snapshot import shape_equals

    faults = []
    for name, blobs in built.params.items():
        wanted = [tuple(blob.shape) for blob in blobs]
        given = [array.shape for array in weights.get(name, ())]
        if len(wanted) != len(given) or not all(map(shape_equals, given, wanted)):
            faults.append("layer '{}': blobs of {} wanted, {} given".format(name, wanted, given or "none"))
    if faults:
        raise AgeGenderError("these weights do not fit '{}':\n  {}".format(net.name, "\n  ".join(faults)))


def count_parameters(built):
    """Values in a Net's weights, without the moving-average factor of Caffe's BatchNorm."""
    norms = {layer.name for layer in built.param.layer if layer.type == "BatchNorm"}
    total = 0
    for name, blobs in built.params.items():
        total += sum(blob.count for blob in (list(blobs)[:2] if name in norms else blobs))
    return total


def deploy_text(net):
    """The deploy prototxt, with a comment that says what it answers."""
    about = "%s. %d x %d x %d, %s, in; %d probabilities out." % (
        net.title, *net.shape, net.transform().order, len(net.labels),
    )  # fmt: skip
    lines = ["# " + line for line in textwrap.wrap(about, 118)]
    return "\n".join([*lines, text.format(deploy_param(net))])
