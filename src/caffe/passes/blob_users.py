"""Questions that passes ask about a net's blobs: who reads and writes them."""


def nodes_using(nodes, blob):
    """Indices of the nodes that read or write `blob` (Blob), in order."""
    return [
        i
        for i, node in enumerate(nodes)
        if any(b is blob for b in node.bottom_blobs) or any(b is blob for b in node.top_blobs)
    ]


def is_relu_in_place(node):
    """Whether `node` is a plain ReLU (no slope) that writes over its bottom."""
    plain = node.layer.type == "ReLU" and not node.layer.param.relu_param.negative_slope
    plain = plain and node.layer.limits == (None, None)
    return plain and node.bottom_blobs[0] is node.top_blobs[0]
