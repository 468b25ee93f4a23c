"""draw_net: the file extension selects the format."""

import pytest

from caffe import tools

NET = """
layer { name: "a" type: "Input" top: "data" input_param { shape { dim: 1 } } include { phase: TEST } }
layer { name: "b" type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 } }
  include { phase: TRAIN } }
"""


@pytest.mark.parametrize("phase, layers", [("TRAIN", {"b"}), ("TEST", {"a"}), ("ALL", {"a", "b"})])
def test_phases(tmp_path, phase, layers, capsys):
    (tmp_path / "net.prototxt").write_text(NET)
    out = str(tmp_path / "net.dot")
    assert tools.main(["draw_net", str(tmp_path / "net.prototxt"), out, "--rankdir", "TB", "--phase", phase]) == 0
    text = (tmp_path / "net.dot").read_text()
    assert {name for name in "ab" if f'"{name} (' in text} == layers and "rankdir=TB" in text
    assert capsys.readouterr().out == f"Drawing net to {out}\n"


def test_missing_file(tmp_path, capsys):
    assert tools.main(["draw_net", str(tmp_path / "none.prototxt"), str(tmp_path / "net.dot")]) == 1
    assert "none.prototxt" in capsys.readouterr().err
