"""Graph, layers and deploy prototxt of a snapshot."""

from __future__ import annotations

from typing import Any

from agegender.workbench.tasks import graph


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Return graph, layers, deploy prototxt, input shape and mean file of a net."""
    import numpy as np

    from caffe.convert.deploy import deploy
    from caffe.proto import text
    from caffe.proto.read import read_net
    from ncs.compiler.compile import deploy_net

    param = read_net(values["net"]).param
    net = deploy_net(values["net"], values["weights"], build_only=True)
    layers = []
    for node in net.nodes:
        if node.layer.type == "Split":
            continue
        name = node.layer.name
        shapes = [list(net.blobs[top].shape) for top in node.tops]
        weights = sum(int(np.prod(blob.shape)) for blob in net.params.get(name, ()))
        layers.append({"name": name, "type": node.layer.type, "shapes": shapes, "weights": weights})
    files = [layer.transform_param.mean_file for layer in param.layer if layer.transform_param.mean_file]
    return {
        "name": net.name or "",
        "graph": graph.of_net(net),
        "layers": layers,
        "weights": sum(layer["weights"] for layer in layers),
        "shape": list(net.blobs[net.inputs[0]].shape)[1:],
        "deploy": text.format(deploy(param)),
        "mean_file": files[0] if files else "",
    }
