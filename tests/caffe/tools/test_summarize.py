"""summarize: the table of a net."""

from caffe import tools
from caffe.proto import caffe_pb2, text
from caffe.tools.summarize import summary, table_lines

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { name: "w" lr_mult: 0.5 } param { decay_mult: 0 }
  convolution_param { num_output: 4 group: 2 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "rect" type: "Convolution" bottom: "conv" top: "rect" param { } param { }
  convolution_param { num_output: 4 kernel_h: 1 kernel_w: 3 stride: 1 } }
layer { name: "pool" type: "Pooling" bottom: "rect" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "all" type: "Pooling" bottom: "rect" top: "all" pooling_param { global_pooling: true } }
layer { name: "mine" type: "Python" bottom: "pool" bottom: "missing" top: "out" loss_weight: 2
  python_param { module: "m" layer: "Mine" } }
"""

EXPECTED = """\
data Input                           -> data
conv Convolution (w x0.5, Dx0.0) data -> conv    3/2+1 4/2
rect Convolution                 conv -> rect    1x3 4
pool Pooling                     rect -> pool    2/2
all  Pooling                     rect -> all     global
mine m.Mine                      pool, missing -> 2.0 * out
"""


def test_table(tmp_path, capsys):
    (tmp_path / "net.prototxt").write_text(NET)
    assert tools.main(["summarize", str(tmp_path / "net.prototxt")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [line.split() for line in EXPECTED.splitlines()]


def test_columns_and_colours():
    net = caffe_pb2.NetParameter()
    text.parse(NET, net)
    rows = summary(net)
    assert "\033[41mmissing" in rows[5][3] and "\033[1;4mall" in rows[4][5] and "\033[1;4m" not in rows[3][5]
    lines = list(table_lines([["a", "bb", "c"], ["wide wide", "b", "c"]], 5))
    assert lines == ["a    bb c", "wide wide b c"]
