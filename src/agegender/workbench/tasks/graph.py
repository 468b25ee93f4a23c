"""The graph of a net as boxes and lines: layers by depth, with type, shapes and number of weights."""

from __future__ import annotations

from typing import Any


def of_net(net: Any) -> dict[str, Any]:
    """Return {"boxes": [...], "lines": [[from, to], ...]}; the place of a box is (column, row)."""
    import numpy as np

    from ncs.profile import html

    positions, lines = html.layout(net)
    columns = sorted({x for x, _ in positions.values()})
    rows = sorted({y for _, y in positions.values()})
    boxes = []
    for node in net.nodes:
        name = node.layer.name
        if name not in positions:
            continue
        x, y = positions[name]
        weights = sum(int(np.prod(blob.shape)) for blob in net.params.get(name, ()))
        shapes = ["×".join(map(str, net.blobs[top].shape)) for top in node.tops if top in net.blobs]
        box = {"name": name, "type": node.layer.type, "x": int(x), "y": int(y), "shapes": shapes, "weights": weights}
        boxes.append(box)
    return {"boxes": boxes, "lines": lines, "columns": len(columns), "rows": len(rows)}
