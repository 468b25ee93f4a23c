"""`agegender demo`: reads videos, images and cameras; writes videos, directories and windows; reports errors."""

import os

import cv2
import numpy as np
import pytest
from support import compiled_nets, composite_photographs

from agegender.cli import demo
from agegender.inference import image_files, predict, results
from agegender.inference.faces import detect
from agegender.inference.video import sinks, sources
from caffe.utils.cli import commands

SIZE = (320, 240)
FRAMES = 8


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Small nets; a video in which two faces move to the right; two photographs of different shape."""
    folder = tmp_path_factory.mktemp("graph")
    compiled_nets.compile_age_and_gender(folder, compiled_nets.transform())
    writer = cv2.VideoWriter(str(folder / "walk.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, SIZE)
    for number in range(FRAMES):
        writer.write(walk(number)[0])
    writer.release()
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "a.png"), walk(0)[0])
    cv2.imwrite(str(folder / "images" / "b.jpg"), composite_photographs.photograph(200, 300, [(20, 60, 150, 0)])[0])
    return folder


def walk(number):
    """One frame, and its faces' matrices."""
    return composite_photographs.photograph(*SIZE, [(10 + 6 * number, 20, 120, 0), (150 + 3 * number, 70, 140, 0)])


def run(graph, *argv):
    command = ["--device", "CPU", "--model-dir", str(graph), *map(str, argv)]
    return commands.run_command("agegender.cli", "demo", "agegender demo", command)


def read_video(path):
    """(frames per second, frames) of a video."""
    capture, frames = cv2.VideoCapture(str(path)), []
    rate = capture.get(cv2.CAP_PROP_FPS)
    while True:
        success, frame = capture.read()
        if not success:
            return rate, frames
        frames.append(frame)


def is_blue(image):
    """Mask of the colour of boxes and strips, with a tolerance for video compression."""
    return np.abs(image.astype(int) - (255, 128, 0)).max(2) < 60


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_boxes_in_the_output_video_follow_the_faces(graph, tmp_path, capsys, suffix):
    target = tmp_path / ("out" + suffix)
    assert run(graph, "--video", graph / "walk.avi", "--out", target) == 0
    assert "8 frames, 16 faces, " in capsys.readouterr().err
    rate, drawn = read_video(target)
    assert abs(rate - 12.5) < 0.1 and len(drawn) == FRAMES and drawn[0].shape == (240, 320, 3)
    _, plain = read_video(graph / "walk.avi")
    for number in (0, FRAMES - 1):
        changed = np.abs(drawn[number].astype(int) - plain[number]).max(2) > 40
        for face in detect.Detector().find(plain[number]):
            left, top, right, bottom = face.box
            assert changed[top + 4 : bottom - 4, left - 1 : left + 2].any(1).mean() > 0.9
            assert changed[bottom - 1 : bottom + 2, left + 4 : right - 4].any(0).mean() > 0.9
        assert is_blue(drawn[number])[2:10, 2:60].mean() > 0.3  # frames per second
    assert os.listdir(tmp_path) == ["out" + suffix]


def test_nets_receive_faces_without_annotations(graph, tmp_path, monkeypatch):
    """Overlapping faces: the box drawn around one face must not appear in the crop of the other."""
    seen = []
    monkeypatch.setattr(predict.FacePredictor, "predict_faces", spy(predict.FacePredictor.predict_faces, seen))
    assert run(graph, "--video", graph / "walk.avi", "--out", tmp_path / "d", "--frames", 3) == 0
    _, original = read_video(graph / "walk.avi")
    assert len(seen) == 3 and sorted(os.listdir(tmp_path / "d")) == [f"{i:06d}.jpg" for i in range(3)]
    for image, plain in zip(seen, original):
        assert (image == plain).all()


def spy(function, seen):
    def wrapper(self, image, *arguments):
        result = function(self, image, *arguments)
        seen.append(image)  # after the call: the image itself must still be unchanged
        return result

    return wrapper


def test_images_are_written_under_their_names_or_as_a_video(graph, tmp_path, capsys):
    assert run(graph, "--images", graph / "images", "--out", tmp_path / "drawn") == 0
    assert sorted(os.listdir(tmp_path / "drawn")) == ["a.png", "b.jpg"]
    drawn = cv2.imread(str(tmp_path / "drawn" / "a.png"))
    assert drawn.shape == (240, 320, 3) and is_blue(drawn).sum() > 400
    assert run(graph, "--images", graph / "images", "--out", tmp_path / "o.mp4") == 0
    rate, shown = read_video(tmp_path / "o.mp4")
    assert rate == 1 and [frame.shape for frame in shown] == [(720, 960, 3)] * 2
    assert run(graph, "--images", graph / "images", "--out", graph / "images") == 1
    assert "would replace the input image" in capsys.readouterr().err


def test_labels_have_yu4us_format():
    def prediction(*outputs):
        return results.Prediction("", {str(i): output for i, output in enumerate(outputs)})

    years = results.NetOutput("a", "31.9", 1.0, [], "age", 31.9)
    classes = results.NetOutput("b", "(25, 32)", 1.0, [], "age")
    woman = results.NetOutput("g", "Female", 1.0, [], "gender")
    assert demo.label(prediction(woman, years)) == "31, F" and demo.label(prediction(classes, woman)) == "(25, 32), F"
    assert demo.label(prediction(years)) == "31" and demo.label(prediction(woman)) == "F"


def test_errors_and_their_exit_status(graph, tmp_path, capsys, monkeypatch):
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "file").write_text("x")
    video = ["--video", graph / "walk.avi"]
    for status, message, argv in (
        (image_files.NO_FILE, "there is no such file", ["--video", tmp_path / "none.mp4", "--out", tmp_path / "d"]),
        (
            image_files.NO_IMAGE,
            "not a video that OpenCV can read",
            ["--video", tmp_path / "text.mp4", "--out", tmp_path / "d"],
        ),
        (image_files.NO_DEVICE, "camera 93", ["--camera", 93, "--out", tmp_path / "d"]),
        (image_files.NO_MODEL, "no such model", [*video, "--out", tmp_path / "d", "--net", "none"]),
        (1, "expected a video (.mp4", [*video, "--out", tmp_path / "o.xyz"]),
        (1, "received a file", [*video, "--out", tmp_path / "file"]),
        (1, "--out FILE.mp4 or --out DIR", video),
    ):
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert run(graph, *argv) == status, argv
        assert message in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["file", "text.mp4"]


def test_a_truncated_video_is_annotated_up_to_its_end(graph, tmp_path, capsys):
    content = (graph / "walk.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 3])
    assert run(graph, "--video", tmp_path / "cut.avi", "--out", tmp_path / "o.mp4") == image_files.NO_IMAGE
    assert "of 8: the file is damaged or truncated" in capsys.readouterr().err
    assert 0 < len(read_video(tmp_path / "o.mp4")[1]) < FRAMES


class Camera:
    """Replaces cv2.VideoCapture: a camera that is unplugged after five frames; reading may raise `error` instead."""

    def __init__(self, error=None):
        self.left, self.error = 5, error

    def isOpened(self):
        return True

    def get(self, setting):
        return {cv2.CAP_PROP_FRAME_WIDTH: SIZE[0], cv2.CAP_PROP_FRAME_HEIGHT: SIZE[1]}.get(setting, 0.0)

    def set(self, setting, value):
        return True

    def read(self):
        if not self.left:
            if self.error:
                raise self.error
            return False, None
        self.left -= 1
        return True, walk(0)[0]

    def release(self):
        self.left = 0


def test_a_camera(graph, tmp_path, capsys, monkeypatch):
    """Unplugged: an error, and the video so far is kept. Ctrl-C: success. A bug: no video. --frames: a limit."""
    monkeypatch.setattr(sources.cv2, "VideoCapture", lambda number: Camera())
    assert run(graph, "--camera", 0, "--out", tmp_path / "a.mp4") == image_files.NO_DEVICE
    assert "camera 0 delivered no image after 5 frames" in capsys.readouterr().err
    assert run(graph, "--camera", 0, "--out", tmp_path / "b.mp4", "--frames", 2) == 0
    monkeypatch.setattr(sources.cv2, "VideoCapture", lambda number: Camera(KeyboardInterrupt()))
    assert run(graph, "--camera", 0, "--out", tmp_path / "c.mp4") == 0
    monkeypatch.setattr(sources.cv2, "VideoCapture", lambda number: Camera(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        run(graph, "--camera", 0, "--out", tmp_path / "d.mp4")
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "b.mp4", "c.mp4"]
    assert [len(read_video(tmp_path / name)[1]) for name in ("a.mp4", "b.mp4", "c.mp4")] == [5, 2, 5]


class Display:
    """Replaces the functions of OpenCV that a window needs."""

    def __init__(self, monkeypatch, keys):
        self.keys, self.shown = list(keys), []
        monkeypatch.setenv("DISPLAY", ":0")
        for name, function in (("currentUIFramework", lambda: "QT5"), ("imshow", self.imshow), ("waitKey", self.wait),
                           ("getWindowProperty", lambda *_: 1.0), ("destroyAllWindows", self.shown.clear)):  # fmt: skip
            monkeypatch.setattr(sinks.cv2, name, function)
        self.count = 0

    def imshow(self, title, image):
        self.count += 1
        self.shown.append(image)

    def wait(self, milliseconds):
        assert milliseconds > 0
        return self.keys.pop(0) if self.keys else -1


def test_a_window_shows_every_frame_until_escape(graph, monkeypatch, capsys):
    display = Display(monkeypatch, [-1, ord("x"), sinks.ESCAPE])
    assert run(graph, "--video", graph / "walk.avi") == 0
    assert display.count == 3 and "3 frames, 6 faces" in capsys.readouterr().err
    display = Display(monkeypatch, [])
    assert run(graph, "--video", graph / "walk.avi") == 0 and display.count == FRAMES


def test_an_image_waits_for_a_key(graph, monkeypatch):
    display = Display(monkeypatch, [-1, -1, ord(" "), -1, ord(" ")])
    assert run(graph, "--images", graph / "images") == 0
    assert display.count == 2 and not display.keys


def test_reasons_for_having_no_window(monkeypatch):
    Display(monkeypatch, [])
    assert sinks.no_window() == ""
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sinks.sys, "platform", "linux")
    assert "no display" in sinks.no_window()
    monkeypatch.setattr(sinks.cv2, "currentUIFramework", lambda: "")
    assert "opencv-python-headless" in sinks.no_window()


def test_images_are_letterboxed_into_a_frame():
    for shape, size in (((240, 320), (960, 720)), ((300, 200), (320, 240)), ((33, 1000), (64, 48)), ((1, 1), (4, 2))):
        image = np.full((*shape, 3), 200, np.uint8)
        frame = sinks.fitted(image, size)
        assert frame.shape == (size[1], size[0], 3)
        filled = (frame > 100).all(2)
        rows, columns = filled.any(1).sum(), filled.any(0).sum()
        assert rows == size[1] or columns == size[0]
        assert abs(rows * shape[1] - columns * shape[0]) <= max(shape)  # the aspect ratio is kept
