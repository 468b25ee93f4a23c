"""What the data set of a working directory says about the nets that were trained on it."""

import json

import pytest

from agegender import workspace


@pytest.mark.parametrize(
    "faces, synthetic",
    [
        ("./data/synthetic_faces", True),
        ("data/synthetic_faces/", True),
        ("data/UTKFace_AsianOnly", False),
        (None, False),
    ],
)
def test_trained_on_synthetic_faces(tmp_path, monkeypatch, faces, synthetic):
    monkeypatch.chdir(tmp_path)
    assert not workspace.trained_on_synthetic_faces()
    (tmp_path / "data" / "DEF").mkdir(parents=True)
    settings = {} if faces is None else {"faces": faces}
    (tmp_path / "data" / "DEF" / "manifest.json").write_text(json.dumps({"settings": settings}))
    assert workspace.trained_on_synthetic_faces() is synthetic
    (tmp_path / "data" / "DEF" / "manifest.json").write_text("[")
    assert not workspace.trained_on_synthetic_faces()


def test_why_the_nets_of_the_scripts_do_not_predict_people(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert workspace.why_not_people("graph") == "graph/ has neither AgeNet nor GenderNet"
    assert workspace.why_not_people("mine") == ""
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "AgeNet.json").write_text("{}")
    assert workspace.why_not_people("graph") == ""
    (tmp_path / "data" / "DEF").mkdir(parents=True)
    (tmp_path / "data" / "DEF" / "manifest.json").write_text('{"settings": {"faces": "data/synthetic_faces"}}')
    assert "do not know people" in workspace.why_not_people("graph")
    assert workspace.why_not_people("mine") == ""
