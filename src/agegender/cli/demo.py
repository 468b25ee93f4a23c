"""Annotate a camera, a video or images with the age and gender of every face, in a window or as files.

Press Esc to stop. Without a display --out writes the drawn images into a directory, or a video. The net sees each face
as it was before anything was drawn. Exit status as run_inference.py's; 7 also if there is no such camera.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from agegender.inference.faces.detect import Detector
    from agegender.inference.predict import FacePredictor
    from agegender.inference.results import Prediction

VIDEO_MIN_FACE = 16  # in videos the default smallest face is a 16th of the longer side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from agegender.cli import predict

    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--camera", type=int, metavar="N", help="a camera by number; the first is 0")
    source.add_argument("--video", metavar="FILE", help="a video")
    source.add_argument("--images", nargs="+", metavar="P", help="images, directories or globs")
    parser.add_argument(
        "--out", metavar="P", default="", help="a video (.mp4, .avi, .mkv, .mov) or a directory instead of a window"
    )
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="stop after N frames")
    predict.add_net_arguments(parser)
    predict.add_face_arguments(parser.add_argument_group("faces"))


def run(args: argparse.Namespace) -> None:
    from agegender.cli.predict import make_detector, open_nets
    from agegender.inference.faces import detect
    from agegender.inference.predict import FacePredictor
    from agegender.inference.video import sinks

    source = open_source(args)
    with contextlib.closing(source), contextlib.ExitStack() as stack:
        sink = sinks.opened(args.out, source.still, source.rate)
        detector = make_detector(args, None if source.still else detect.min_face_width(source.size, VIDEO_MIN_FACE))
        predictor = stack.enter_context(FacePredictor(open_nets(args, 1), crop=args.crop))
        show(source, sink, lambda image: draw(image, detector, predictor), args.frames, args.out)


def open_source(args: argparse.Namespace) -> Any:
    """Return the source that the options name."""
    from agegender.inference.video import sources

    if args.images:
        return sources.Images(args.images)
    return sources.VideoFile(args.video) if args.video else sources.Camera(args.camera)


def show(source: Any, sink: Any, draw: Callable, max_frames: int, out: str) -> None:
    """Draw frame after frame until the source ends, `max_frames` are shown, or Esc or Ctrl-C is pressed.

    An unfinished video is kept then, and also if the source fails; only a bug leaves nothing.
    """
    from agegender.errors import AgeGenderError
    from agegender.inference import annotate
    from caffe.utils.cli.progress import Progress

    total = min(max_frames or source.total, source.total or max_frames)
    count, faces, keep, rate = 0, 0, True, Rate()
    try:
        with Progress("Drawing", total, "frames") if out and total else contextlib.nullcontext() as progress:
            for name, image, path in source:
                drawn, detected = draw(image)
                rate.tick()
                if not source.still:
                    annotate.draw_rate(drawn, rate.value)
                count, faces = count + 1, faces + detected
                if progress:
                    progress.step()
                if not sink.show(name, drawn, path) or count == max_frames:
                    break
    except KeyboardInterrupt:
        pass
    except Exception as error:
        keep = isinstance(error, AgeGenderError)
        raise
    finally:
        sink.close(keep)
        if count:
            target = out + ": " if out and keep else ""
            print(f"{target}{count} frames, {faces} faces, {rate.mean(count):.1f} frames/s", file=sys.stderr)


def draw(image: np.ndarray, detector: Detector, predictor: FacePredictor) -> tuple[np.ndarray, int]:
    """Return a copy of the image with boxes and labels, and the number of faces."""
    from agegender.inference import annotate

    faces = detector.find(image)
    labels = [label(prediction) for prediction in predictor.predict_faces(image, faces)]
    return annotate.draw_boxes(image, faces, labels), len(faces)


def label(prediction: Prediction) -> str:
    """Return `31, F` as yu4u's demo prints it: whole years, or the class of nets that predict classes."""
    ages, genders = [], []
    for output in prediction.answers.values():
        if output.task == "gender":
            genders.append(output.text[0])
        else:
            ages.append(output.text if output.years is None else str(int(output.years)))
    return ", ".join(ages + genders)


class Rate:
    """Frames per second: over the last WINDOW frames, and over all."""

    WINDOW = 30

    def __init__(self) -> None:
        self._times = [time.perf_counter()]
        self._began = self._times[0]

    def tick(self) -> None:
        """Count a frame."""
        self._times = [*self._times, time.perf_counter()][-self.WINDOW - 1 :]

    @property
    def value(self) -> float:
        """The recent rate."""
        return (len(self._times) - 1) / max(1e-9, self._times[-1] - self._times[0])

    def mean(self, count: int) -> float:
        """Return the mean rate since creation, given the number of frames."""
        return count / max(1e-9, time.perf_counter() - self._began)
