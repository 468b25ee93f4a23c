"""Landmarks of the mean face agree with the average landmarks of the faces."""

import numpy as np
from support.external_data import SHARED, needs_shared

from agegender import synthetic_faces
from agegender.inference import yunet
from agegender.inference.faces import face_crop, face_settings, mean_landmarks
from caffe.data.mean import read_mean, write_mean


def test_mean_face_has_the_average_landmarks():
    chips = [synthetic_faces.draw(3 * age, bool(age % 2), (7, age)) for age in range(30)]
    net = yunet.YuNet(0.6)
    expected = np.mean([net.rows(chip)[0, 4:14].reshape(5, 2) / 200 for chip in chips], 0)
    mean = np.mean(chips, 0)
    landmarks = mean_landmarks.landmarks(mean.transpose(2, 0, 1))
    assert len(landmarks) == 5 and np.abs(np.array(landmarks) - expected).max() < 0.03
    mirrored = np.array(mean_landmarks.landmarks(mean[:, ::-1].transpose(2, 0, 1)))[mean_landmarks.MIRRORED_ORDER]
    assert np.abs(mirrored * [-1, 1] + [1, 0] - landmarks).max() < 0.005


def test_no_landmarks_without_a_mean_face():
    assert mean_landmarks.landmarks(None) is None
    assert mean_landmarks.landmarks(np.array([104.0, 117.0, 123.0])) is None
    assert mean_landmarks.landmarks(np.random.default_rng(0).uniform(90, 130, (3, 227, 227))) is None
    assert mean_landmarks.landmarks(np.zeros((1, 227, 227))) is None


def test_compiled_nets_store_the_landmarks_of_their_mean(tmp_path, monkeypatch):
    """AgeNet as trained here, and a zoo net with a mean image."""
    from agegender import zoo
    from agegender.zoo import compile

    monkeypatch.chdir(tmp_path)
    mean = np.mean([synthetic_faces.draw(20 + age, bool(age % 2), (7, age)) for age in range(12)], 0).transpose(2, 0, 1)
    write_mean(tmp_path / "faces.binaryproto", mean.astype(np.float32))
    job, _ = compile.job(zoo.nets()["AgeNet"], str(tmp_path / "g"), "w.caffemodel", str(tmp_path / "faces.binaryproto"))
    assert np.abs(np.array(face_settings.landmarks(job.transform)) - mean_landmarks.landmarks(mean)).max() < 0.002
    write_mean(tmp_path / "flat.binaryproto", np.full((3, 64, 64), 110, np.float32))
    for name, landmarks in (("levi-age", face_crop.ADIENCE), ("AgeNet", face_crop.UTKFACE)):
        job, _ = compile.job(zoo.nets()[name], str(tmp_path / "g"), "w.caffemodel", str(tmp_path / "flat.binaryproto"))
        assert face_settings.landmarks(job.transform) == landmarks


@needs_shared
def test_template_agrees_with_the_released_mean_face_of_adience():
    landmarks = mean_landmarks.landmarks(read_mean(str(SHARED / "data" / "levi" / "mean.binaryproto")))
    assert np.abs(np.array(landmarks) - face_crop.ADIENCE).max() < 0.01
