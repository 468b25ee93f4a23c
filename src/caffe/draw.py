"""Draw a net as a graph of layers and blobs (pycaffe's draw.py), with Graphviz if installed, else Matplotlib.

`draw_net_to_file(net_param, "net.png")` takes the format from the file extension; .dot, .gv and .raw write Graphviz
text and need neither program.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from typing import Any, NamedTuple

from caffe.errors import CaffeError
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2
from caffe.utils.atomic_io import write_bytes
from caffe.utils.cli.safe_text import printable

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_WEIGHTED_TYPES = ("Convolution", "Deconvolution", "InnerProduct")
_TEXT_FORMATS = ("raw", "dot", "gv")


class NetGraph(NamedTuple):
    """Graph to draw: node id -> (label, style), and edges (from id, to id, label)."""

    nodes: dict
    edges: list


# -- labels -----------------------------------------------------------------------------------------


def get_pooling_types_dict() -> dict[int, str]:
    """Return the pooling methods: {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}."""
    return {v.number: v.name for v in caffe_pb2.PoolingParameter.PoolMethod.DESCRIPTOR.values}


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """Return the label of an edge out of `layer`: its outputs or batch size; an empty quoted string for other types."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> tuple[float, float]:
    """Return lr_mult of (weights, bias) of a Convolution, Deconvolution or InnerProduct; ValueError for other types."""
    if layer.type not in _WEIGHTED_TYPES:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    if len(layer.param) > 2:
        raise ValueError("Could not parse the learning rate multiplier")
    lr_mults = [p.lr_mult for p in layer.param]
    return tuple((lr_mults + [1.0, 1.0])[:2])


def _first(values, default):
    return values[0] if len(values) else default


def _window(layer):
    if layer.type == "Pooling":
        p = layer.pooling_param
        return p.kernel_size, p.stride, p.pad
    p = layer.convolution_param
    return _first(p.kernel_size, 1), _first(p.stride, 1), _first(p.pad, 0)


def get_layer_label(layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """Return the quoted label of a layer's node: name, type, window and (`display_lrm`) learning rate multipliers."""
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    type_text = layer.type
    if layer.type == "Pooling":
        type_text += " " + get_pooling_types_dict()[layer.pooling_param.pool]
    parts = [layer.name, f"({type_text})"]
    if layer.type in ("Convolution", "Deconvolution", "Pooling"):
        parts.append(separator.join(("kernel size: %d", "stride: %d", "pad: %d")) % _window(layer))
    if display_lrm and layer.type in _WEIGHTED_TYPES and any(get_layer_lr_mult(layer)):
        parts.append("lr mult: {:.1f}, {:.1f}".format(*get_layer_lr_mult(layer)))
    return f'"{separator.join(parts)}"'


def choose_color_by_layertype(layertype: str) -> str:
    """Return the fill colour of a layer type."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


# -- the graph --------------------------------------------------------------------------------------


def _layer_style(layer):
    if len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top):
        return NEURON_LAYER_STYLE
    return dict(LAYER_STYLE_DEFAULT, fillcolor=choose_color_by_layertype(layer.type))


def _included(layer, phase):
    return phase is None or filter_and_split.included(layer, filter_and_split.net_state(phase))


def net_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> NetGraph:
    """Return the graph of a NetParameter; `phase` keeps only the layers of that phase."""
    graph = NetGraph({}, [])
    for layer in caffe_net.layer:
        if not _included(layer, phase):
            continue
        node = f"{layer.name}_{layer.type}"
        graph.nodes[node] = (get_layer_label(layer, rankdir, display_lrm), _layer_style(layer))
        for name in layer.bottom:
            graph.nodes.setdefault(name + "_blob", (name, BLOB_STYLE))
            graph.edges.append((name + "_blob", node, '""'))
        for name in layer.top:
            graph.nodes.setdefault(name + "_blob", (name, BLOB_STYLE))
            graph.edges.append((node, name + "_blob", get_edge_label(layer) if label_edges else '""'))
    return graph


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """Return the pydot.Dot of a NetParameter; needs the package pydot."""
    try:
        import pydot
    except ImportError:
        raise CaffeError("get_pydot_graph needs the package pydot (pip install pydot)") from None
    graph = net_graph(caffe_net, rankdir, label_edges, phase, display_lrm)
    dot = pydot.Dot(_quoted(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    nodes = {key: pydot.Node(_quoted(label), **_quoted_style(style)) for key, (label, style) in graph.nodes.items()}
    for node in nodes.values():
        dot.add_node(node)
    for source, target, label in graph.edges:
        dot.add_edge(pydot.Edge(nodes[source], nodes[target], label=_quoted(label)))
    return dot


def _quoted(text):
    """Return `text` as a quoted Graphviz string; in already quoted text, \\n, \\l and \\r remain line breaks."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        inner = re.sub(r"\\(?![nlr])", r"\\\\", text[1:-1])
    else:
        inner = text.replace("\\", "\\\\")
    return '"{}"'.format(printable(inner).replace('"', '\\"'))


def _quoted_style(style):
    return {key: _quoted(value) for key, value in style.items()}


def dot_text(
    caffe_net: caffe_pb2.NetParameter, rankdir: str = "LR", phase: int | None = None, display_lrm: bool = False
) -> str:
    """Return the graph in Graphviz' DOT language."""
    graph = net_graph(caffe_net, rankdir, True, phase, display_lrm)
    ids = {key: f"n{i}" for i, key in enumerate(graph.nodes)}
    lines = ["digraph {} {{".format(_quoted(caffe_net.name or "Net")), f"rankdir={rankdir};"]
    for key, (label, style) in graph.nodes.items():
        attributes = ", ".join(f"{name}={value}" for name, value in _quoted_style(style).items())
        lines.append(f"{ids[key]} [label={_quoted(label)}, {attributes}];")
    for source, target, label in graph.edges:
        lines.append(f"{ids[source]} -> {ids[target]} [label={_quoted(label)}];")
    return "\n".join(lines) + "\n}\n"


# -- drawing ----------------------------------------------------------------------------------------


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Draw a net and return the image as bytes.

    Parameters
    ----------
    caffe_net : NetParameter
    rankdir : {"LR", "RL", "TB", "BT"}
        Direction from input to output.
    ext : str
        Image format (png, svg, pdf, …); dot, gv or raw for Graphviz text.
    phase : int, optional
        Draw only the layers of caffe.TRAIN (0) or caffe.TEST (1).
    display_lrm : bool
        Show learning rate multipliers.

    Returns
    -------
    bytes

    Raises
    ------
    CaffeError
        If `rankdir` or `ext` is invalid, or Graphviz fails.
    """
    if rankdir not in ("LR", "RL", "TB", "BT"):
        raise CaffeError(f"rankdir must be LR, RL, TB or BT, received '{rankdir}'")
    text = dot_text(caffe_net, rankdir, phase, display_lrm)
    if ext in _TEXT_FORMATS:
        return text.encode()
    if shutil.which("dot"):
        return _by_graphviz(text, ext)
    return _by_matplotlib(net_graph(caffe_net, rankdir, True, phase, display_lrm), rankdir, ext)


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draw a NetParameter to a file; the file extension selects the format."""
    name = str(filename)
    stem, dot, ext = name.rpartition(".")
    if not dot or "/" in ext:
        raise CaffeError(f"'{name}' needs a file extension that selects the format: .png, .svg, .pdf or .dot")
    write_bytes(name, draw_net(caffe_net, rankdir, ext.lower(), phase, display_lrm))


def _by_graphviz(text, ext):
    process = subprocess.run(["dot", "-T" + ext], input=text.encode(), capture_output=True)
    if process.returncode:
        raise CaffeError("Graphviz: {}".format(process.stderr.decode(errors="replace").strip()))
    return process.stdout


def _by_matplotlib(graph, rankdir, ext):
    """Lay out the ranks along `rankdir`, a simplified form of Graphviz' layout."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    grid = _grid_positions(graph)
    ranks, rows = (max(position[k] for position in grid.values()) + 1 if grid else 1 for k in (0, 1))
    along, across = (3.2, 1.3) if rankdir in ("LR", "RL") else (1.3, 3.2)
    size = (ranks * along, rows * across) if rankdir in ("LR", "RL") else (rows * across, ranks * along)
    figure = Figure(figsize=(min(size[0] + 1, 600), min(size[1] + 1, 600)), dpi=_dpi(size))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.6, (ranks if rankdir in ("LR", "RL") else rows) - 0.4)
    axes.set_ylim(-0.6, (rows if rankdir in ("LR", "RL") else ranks) - 0.4)
    _draw(axes, graph, {key: _oriented(position, rankdir, ranks, rows) for key, position in grid.items()})
    stream = io.BytesIO()
    supported = figure.canvas.get_supported_filetypes()
    if ext not in supported:
        raise CaffeError(f"format '{ext}' needs Graphviz (without it: {', '.join(sorted(supported))})")
    figure.savefig(stream, format=ext)
    return stream.getvalue()


def _dpi(size):
    """Return a lower resolution for large nets: Agg draws at most 65535 pixels per side."""
    return max(10, min(80, int(60000 / max(*size, 1))))


def _grid_positions(graph):
    """Return node -> (rank, row); the rank is one more than the highest rank among the node's inputs."""
    rank: dict = {}
    next_row: dict = {}
    inputs: dict = {}
    positions = {}
    for source, target, _ in graph.edges:
        inputs.setdefault(target, []).append(source)
    for key in graph.nodes:  # layers are in execution order
        # an in-place layer's top is a blob that already has a rank
        known = [rank[source] for source in inputs.get(key, ()) if source in rank]
        rank[key] = max(known) + 1 if known else 0
    for key in sorted(graph.nodes, key=lambda key: graph.nodes[key][1] is NEURON_LAYER_STYLE):
        row = next_row.get(rank[key], 0)  # neuron layers last, which keeps the main path straight
        next_row[rank[key]] = row + 1
        positions[key] = (rank[key], row)
    return positions


def _oriented(position, rankdir, ranks, rows):
    rank, row = position
    return {
        "LR": (rank, rows - 1 - row),
        "RL": (ranks - 1 - rank, rows - 1 - row),
        "TB": (row, ranks - 1 - rank),
        "BT": (row, rank),
    }[rankdir]


def _draw(axes, graph, positions):
    for source, target, label in graph.edges:
        axes.annotate(
            "",
            xy=positions[target],
            xytext=positions[source],
            arrowprops=dict(arrowstyle="->", color="#606060", shrinkA=18, shrinkB=18),
        )
        if label != '""':
            middle = [(a + b) / 2 for a, b in zip(positions[source], positions[target])]
            axes.text(*middle, label, fontsize=7, ha="center", va="bottom")
    for key, (label, style) in graph.nodes.items():
        text = label.strip('"').replace(r"\n", "\n")
        box = dict(
            boxstyle="round" if style["shape"] == "octagon" else "square",
            fc=style["fillcolor"],
            ec="black",
            lw=0.5,
        )
        axes.text(*positions[key], text, fontsize=7, ha="center", va="center", bbox=box)
