"""The mean face tells where landmarks lie in the faces of a training, as the faces themselves do on average."""

import numpy as np
from support.external_data import SHARED, needs_shared

from agegender import synthetic_faces
from agegender.inference import face_crop, mean_landmarks, yunet
from caffe.data.mean import read_mean, write_mean


def test_the_mean_of_drawn_faces_tells_what_the_faces_tell():
    chips = [synthetic_faces.draw(3 * age, bool(age % 2), (7, age)) for age in range(30)]
    net = yunet.YuNet(0.6)
    each = np.mean([net.rows(chip)[0, 4:14].reshape(5, 2) / 200 for chip in chips], 0)
    told = mean_landmarks.landmarks(np.mean(chips, 0).transpose(2, 0, 1))
    assert len(told) == 5 and np.abs(np.array(told) - each).max() < 0.03
    mirrored = np.array(mean_landmarks.landmarks(np.mean(chips, 0)[:, ::-1].transpose(2, 0, 1)))[
        mean_landmarks.OTHER_SIDE
    ]
    assert np.abs(mirrored * [-1, 1] + [1, 0] - told).max() < 0.005


def test_what_is_no_mean_face_tells_nothing():
    assert mean_landmarks.landmarks(None) is None
    assert mean_landmarks.landmarks(np.array([104.0, 117.0, 123.0])) is None
    assert mean_landmarks.landmarks(np.random.default_rng(0).uniform(90, 130, (3, 227, 227))) is None
    assert mean_landmarks.landmarks(np.zeros((1, 227, 227))) is None


def test_a_compiled_net_knows_where_its_faces_have_their_eyes(tmp_path):
    """AgeNet of `agegender compile`, and a net of the zoo that is given a mean image."""
    from agegender import zoo
    from agegender.cli import compile as verb
    from agegender.nets import NETS
    from agegender.zoo import compile
    from ncs.compiler.compile import Model

    mean = np.mean([synthetic_faces.draw(20 + age, bool(age % 2), (7, age)) for age in range(12)], 0).transpose(2, 0, 1)
    write_mean(tmp_path / "drawn.binaryproto", mean.astype(np.float32))
    model = verb.model_of(NETS["AgeNet"], "w.caffemodel", str(tmp_path / "drawn.binaryproto"), Model)
    drawn = mean_landmarks.landmarks(mean)
    assert np.abs(np.array(model.transform.landmarks) - drawn).max() < 0.002
    job, _ = compile.job(
        zoo.nets()["tringn-age"], str(tmp_path / "g"), "w.caffemodel", str(tmp_path / "drawn.binaryproto")
    )
    assert job.transform.landmarks == model.transform.landmarks
    write_mean(tmp_path / "flat.binaryproto", np.full((3, 64, 64), 110, np.float32))
    job, _ = compile.job(
        zoo.nets()["levi-age"], str(tmp_path / "g"), "w.caffemodel", str(tmp_path / "flat.binaryproto")
    )
    assert job.transform.landmarks == face_crop.ADIENCE
    assert verb.model_of(NETS["AgeNet"], "w", str(tmp_path / "flat.binaryproto"), Model).transform.landmarks is None


@needs_shared
def test_the_released_mean_face_of_adience_is_the_template():
    told = mean_landmarks.landmarks(read_mean(str(SHARED / "data" / "levi" / "mean.binaryproto")))
    assert np.abs(np.array(told) - face_crop.ADIENCE).max() < 0.01
