"""Drawings of nets (pycaffe's draw.py): a graph of layers and blobs, through Graphviz where it is installed,
else Matplotlib.

`draw_net_to_file(net_param, "net.png")`; the ending says the format; .dot, .gv and .raw give Graphviz text,
which needs nothing.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from typing import NamedTuple

from caffe.errors import CaffeError
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2
from caffe.safe_text import printable
from caffe.utils.atomic_io import write_bytes

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
_LEARNING = ("Convolution", "Deconvolution", "InnerProduct")
_TEXT = ("raw", "dot", "gv")


class Picture(NamedTuple):
    """What is drawn: node id -> (label, style), and edges (from id, to id, label)."""

    nodes: dict
    edges: list


# -- labels -----------------------------------------------------------------------------------------


def get_pooling_types_dict():
    """{0: "MAX", 1: "AVE", 2: "STOCHASTIC"}."""
    return {v.number: v.name for v in caffe_pb2.PoolingParameter.PoolMethod.DESCRIPTOR.values}


def get_edge_label(layer):
    """What is written beside an edge out of `layer`: its outputs, or the batch; an empty quoted string for
    the others.
    """
    if layer.type == "Data":
        return "Batch %d" % layer.data_param.batch_size
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer):
    """(weights', bias') lr_mult of a Convolution, Deconvolution or InnerProduct; ValueError for other
    types.
    """
    if layer.type not in _LEARNING:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    if len(layer.param) > 2:
        raise ValueError("Could not parse the learning rate multiplier")
    given = [p.lr_mult for p in layer.param]
    return tuple((given + [1.0, 1.0])[:2])


def _first(values, default):
    return values[0] if len(values) else default


def _window(layer):
    if layer.type == "Pooling":
        p = layer.pooling_param
        return p.kernel_size, p.stride, p.pad
    p = layer.convolution_param
    return _first(p.kernel_size, 1), _first(p.stride, 1), _first(p.pad, 0)


def get_layer_label(layer, rankdir, display_lrm=False):
    """The quoted label of a layer's node: name, type, window and, if asked, learning rate multipliers."""
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    kind = layer.type
    if kind == "Pooling":
        kind += " " + get_pooling_types_dict()[layer.pooling_param.pool]
    parts = [layer.name, f"({kind})"]
    if layer.type in ("Convolution", "Deconvolution", "Pooling"):
        parts.append(separator.join(("kernel size: %d", "stride: %d", "pad: %d")) % _window(layer))
    if display_lrm and layer.type in _LEARNING and any(get_layer_lr_mult(layer)):
        parts.append("lr mult: {:.1f}, {:.1f}".format(*get_layer_lr_mult(layer)))
    return f'"{separator.join(parts)}"'


def choose_color_by_layertype(layertype):
    """The fill colour of a layer type."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


# -- the graph --------------------------------------------------------------------------------------


def _layer_style(layer):
    if len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top):
        return NEURON_LAYER_STYLE
    return dict(LAYER_STYLE_DEFAULT, fillcolor=choose_color_by_layertype(layer.type))


def _included(layer, phase):
    return phase is None or filter_and_split.included(layer, filter_and_split.net_state(phase))


def net_picture(caffe_net, rankdir, label_edges=True, phase=None, display_lrm=False):
    """Picture of a NetParameter; `phase` leaves out the layers of the other."""
    picture = Picture({}, [])
    for layer in caffe_net.layer:
        if not _included(layer, phase):
            continue
        node = f"{layer.name}_{layer.type}"
        picture.nodes[node] = (get_layer_label(layer, rankdir, display_lrm), _layer_style(layer))
        for name in layer.bottom:
            picture.nodes.setdefault(name + "_blob", (name, BLOB_STYLE))
            picture.edges.append((name + "_blob", node, '""'))
        for name in layer.top:
            picture.nodes.setdefault(name + "_blob", (name, BLOB_STYLE))
            picture.edges.append((node, name + "_blob", get_edge_label(layer) if label_edges else '""'))
    return picture


def get_pydot_graph(caffe_net, rankdir, label_edges=True, phase=None, display_lrm=False):
    """pydot.Dot of a NetParameter; needs the package pydot."""
    try:
        import pydot
    except ImportError:
        raise CaffeError("get_pydot_graph needs the package pydot (pip install pydot)") from None
    drawn = net_picture(caffe_net, rankdir, label_edges, phase, display_lrm)
    dot = pydot.Dot(_quoted(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    nodes = {key: pydot.Node(_quoted(label), **_quoted_style(style)) for key, (label, style) in drawn.nodes.items()}
    for node in nodes.values():
        dot.add_node(node)
    for source, target, label in drawn.edges:
        dot.add_edge(pydot.Edge(nodes[source], nodes[target], label=_quoted(label)))
    return dot


def _quoted(text):
    """`text` as a string of Graphviz; of one that is in quotes, what stands within, where \\n, \\l and \\r break lines."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        inner = re.sub(r"\\(?![nlr])", r"\\\\", text[1:-1])
    else:
        inner = text.replace("\\", "\\\\")
    return '"{}"'.format(printable(inner).replace('"', '\\"'))


def _quoted_style(style):
    return {key: _quoted(value) for key, value in style.items()}


def dot_text(caffe_net, rankdir="LR", phase=None, display_lrm=False):
    """The graph in Graphviz' language."""
    drawn = net_picture(caffe_net, rankdir, True, phase, display_lrm)
    numbers = {key: "n%d" % i for i, key in enumerate(drawn.nodes)}
    lines = ["digraph {} {{".format(_quoted(caffe_net.name or "Net")), f"rankdir={rankdir};"]
    for key, (label, style) in drawn.nodes.items():
        shown = ", ".join("{}={}".format(*item) for item in _quoted_style(style).items())
        lines.append(f"{numbers[key]} [label={_quoted(label)}, {shown}];")
    for source, target, label in drawn.edges:
        lines.append(f"{numbers[source]} -> {numbers[target]} [label={_quoted(label)}];")
    return "\n".join(lines) + "\n}\n"


# -- drawing ----------------------------------------------------------------------------------------


def draw_net(caffe_net, rankdir, ext="png", phase=None, display_lrm=False):
    """The drawing of a NetParameter as bytes of the format `ext` (png, svg, pdf …; dot, gv or raw for
    Graphviz text).
    """
    if rankdir not in ("LR", "RL", "TB", "BT"):
        raise CaffeError(f"rankdir must be LR, RL, TB or BT, received '{rankdir}'")
    text = dot_text(caffe_net, rankdir, phase, display_lrm)
    if ext in _TEXT:
        return text.encode()
    if shutil.which("dot"):
        return _by_graphviz(text, ext)
    return _by_matplotlib(net_picture(caffe_net, rankdir, True, phase, display_lrm), rankdir, ext)


def draw_net_to_file(caffe_net, filename, rankdir="LR", phase=None, display_lrm=False):
    """Draw a NetParameter into a file; its ending says the format."""
    name = str(filename)
    stem, dot, ext = name.rpartition(".")
    if not dot or "/" in ext:
        raise CaffeError(f"'{name}' needs an ending that says the format: .png, .svg, .pdf, .dot")
    write_bytes(name, draw_net(caffe_net, rankdir, ext.lower(), phase, display_lrm))


def _by_graphviz(text, ext):
    done = subprocess.run(["dot", "-T" + ext], input=text.encode(), capture_output=True)
    if done.returncode:
        raise CaffeError("Graphviz: {}".format(done.stderr.decode(errors="replace").strip()))
    return done.stdout


def _by_matplotlib(picture, rankdir, ext):
    """Ranks from left to right (or top to bottom), as Graphviz lays them out, though less cleverly."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places = _places(picture)
    ranks, rows = (max(p[k] for p in places.values()) + 1 if places else 1 for k in (0, 1))
    along, across = (3.2, 1.3) if rankdir in ("LR", "RL") else (1.3, 3.2)
    size = (ranks * along, rows * across) if rankdir in ("LR", "RL") else (rows * across, ranks * along)
    figure = Figure(figsize=(min(size[0] + 1, 600), min(size[1] + 1, 600)), dpi=_dpi(size))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.6, (ranks if rankdir in ("LR", "RL") else rows) - 0.4)
    axes.set_ylim(-0.6, (rows if rankdir in ("LR", "RL") else ranks) - 0.4)
    spot = {key: _turned(place, rankdir, ranks, rows) for key, place in places.items()}
    _draw(axes, picture, spot)
    stream = io.BytesIO()
    supported = figure.canvas.get_supported_filetypes()
    if ext not in supported:
        raise CaffeError(
            "format '{}' is not known without Graphviz (known: {})".format(ext, ", ".join(sorted(supported)))
        )
    figure.savefig(stream, format=ext)
    return stream.getvalue()


def _dpi(size):
    """Fewer dots for large nets: Agg draws at most 65535 a side."""
    return max(10, min(80, int(60000 / max(*size, 1))))


def _places(picture):
    """Node -> (rank, row): the rank is one more than the highest of what it reads."""
    rank, taken, places, reads = {}, {}, {}, {}
    for source, target, _ in picture.edges:
        reads.setdefault(target, []).append(source)
    for key in picture.nodes:  # layers stand in the order in which they run
        # in-place layers come back to a blob that stands earlier
        known = [rank[source] for source in reads.get(key, ()) if source in rank]
        rank[key] = max(known) + 1 if known else 0
    for key in sorted(picture.nodes, key=lambda key: picture.nodes[key][1] is NEURON_LAYER_STYLE):
        row = taken.get(rank[key], 0)  # neurons last, so that the main road is straight
        taken[rank[key]] = row + 1
        places[key] = (rank[key], row)
    return places


def _turned(place, rankdir, ranks, rows):
    rank, row = place
    return {
        "LR": (rank, rows - 1 - row), "RL": (ranks - 1 - rank, rows - 1 - row),
        "TB": (row, ranks - 1 - rank), "BT": (row, rank),
    }[rankdir]  # fmt: skip


def _draw(axes, picture, spot):
    for source, target, label in picture.edges:
        axes.annotate(
            "",
            xy=spot[target],
            xytext=spot[source],
            arrowprops=dict(arrowstyle="->", color="#606060", shrinkA=18, shrinkB=18),
        )
        if label != '""':
            middle = [(a + b) / 2 for a, b in zip(spot[source], spot[target])]
            axes.text(*middle, label, fontsize=7, ha="center", va="bottom")
    for key, (label, style) in picture.nodes.items():
        text = label.strip('"').replace(r"\n", "\n")
        box = dict(
            boxstyle="round" if style["shape"] == "octagon" else "square",
            fc=style["fillcolor"],
            ec="black",
            lw=0.5,
        )
        axes.text(*spot[key], text, fontsize=7, ha="center", va="center", bbox=box)
