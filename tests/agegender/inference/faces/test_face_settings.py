"""The settings of face crops that a Transform keeps for the application."""

import numpy as np
import pytest

from agegender.errors import AgeGenderError
from agegender.inference.faces import face_settings
from caffe.device.transform import Transform

POINTS = ((0.3, 0.28), (0.7, 0.28), (0.5, 0.5), (0.33, 0.68), (0.67, 0.68))


def test_settings_survive_json(tmp_path):
    Transform(size=9, application=face_settings.settings(0.4, np.array(POINTS))).to_json(tmp_path / "t.json")
    transform = Transform.from_json(tmp_path / "t.json")
    assert face_settings.margin(transform) == 0.4 and face_settings.landmarks(transform) == POINTS


def test_a_transform_without_settings():
    assert face_settings.margin(Transform(size=9)) == 0 and face_settings.landmarks(Transform(size=9)) is None


def test_replace_changes_one_setting():
    transform = Transform(size=9, scale=2, application=face_settings.settings(0.4, POINTS))
    changed = face_settings.replace(transform, margin=0.0)
    assert face_settings.margin(changed) == 0 and face_settings.landmarks(changed) == POINTS and changed.scale == 2
    assert face_settings.margin(transform) == 0.4


@pytest.mark.parametrize(
    "values, match",
    [
        ({"margin": -1}, "margin of at least 0, received -1"),
        ({"margin": "x"}, "margin of at least 0"),
        ({"margin": float("nan")}, "margin of at least 0"),
        ({"landmarks": [[0, 0]] * 4}, "landmarks as five"),
        ({"landmarks": "eyes"}, "landmarks as five"),
        ({"landmarks": [[0, 0]] * 4 + [[0, np.inf]]}, "landmarks as five"),
    ],
)
def test_invalid_settings(values, match):
    with pytest.raises(AgeGenderError, match=match):
        face_settings.settings(**values)


@pytest.mark.parametrize("values", [{"margin": "x"}, {"margin": -1}, {"landmarks": "eyes"}, {"landmarks": [[1, 2]]}])
def test_invalid_settings_of_a_file(values):
    transform = Transform(size=9, application=values)
    with pytest.raises(AgeGenderError, match="margin of at least 0|landmarks as five"):
        face_settings.margin(transform)
        face_settings.landmarks(transform)
