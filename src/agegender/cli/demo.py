"""Show age and gender of everybody in front of a camera, in a film or in pictures: boxes and labels, in a window or as files.

Press Esc to end. Without a display --out writes the drawn pictures into a folder, or a film. The net sees each face as it was
before anything was drawn. Exit status as run_inference.py's; 7 also when there is no such camera.
"""

from __future__ import annotations

import contextlib
import sys
import time

MOVING = 16  # unless told otherwise, faces of a 16th of the longer side and more are looked for in a film


def add_arguments(parser):
    from agegender.cli import predict

    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--camera", type=int, metavar="N", help="a camera by its number, 0 is the first")
    source.add_argument("--video", metavar="FILE", help="a film")
    source.add_argument("--images", nargs="+", metavar="P", help="pictures, folders or globs")
    parser.add_argument(
        "--out", metavar="P", default="", help="a film (.mp4, .avi, .mkv, .mov) or a folder instead of a window"
    )
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="stop after so many")
    predict.add_net_arguments(parser)
    predict.add_face_arguments(parser.add_argument_group("faces"))


def run(args):
    from agegender.cli.predict import detector_for, open_heads
    from agegender.inference import detect, video_sinks

    source, heads = opened(args), []
    try:
        screen = video_sinks.opened(args.out, source.still, source.rate)
        detector = detector_for(args, None if source.still else detect.least_of(source.size, MOVING))
        heads = open_heads(args, 1)
        show(source, screen, lambda picture: draw(picture, detector, heads, args.crop), args.frames, args.out)
    finally:
        source.close()
        for head in heads:
            head.runner.close()


def opened(args):
    """The source that the options name."""
    from agegender.inference import video_sources

    if args.images:
        return video_sources.Pictures(args.images)
    return video_sources.VideoFile(args.video) if args.video else video_sources.Camera(args.camera)


def show(source, screen, draw, most, out):
    """Frame after frame to the screen, until the source ends, `most` are shown, Esc or Ctrl-C is pressed.

    A film that was begun is kept then, and also when the source fails; only a bug leaves nothing.
    """
    from agegender.errors import AgeGenderError
    from agegender.inference import annotate
    from caffe.utils.progress import Progress

    total = min(most or source.total, source.total or most)
    count, faces, keep, rate = 0, 0, True, Rate()
    try:
        with Progress("Drawing", total, "frames") if out and total else contextlib.nullcontext() as progress:
            for name, picture, path in source:
                drawn, found = draw(picture)
                rate.tick()
                if not source.still:
                    annotate.frames_per_second(drawn, rate.value)
                count, faces = count + 1, faces + found
                if progress:
                    progress.step()
                if not screen.show(name, drawn, path) or count == most:
                    break
    except KeyboardInterrupt:
        pass
    except Exception as error:
        keep = isinstance(error, AgeGenderError)
        raise
    finally:
        screen.close(keep)
        if count:
            wrote = out + ": " if out and keep else ""
            print("%s%d frames, %d faces, %.1f frames/s" % (wrote, count, faces, rate.mean(count)), file=sys.stderr)


def draw(picture, detector, heads, crop):
    """(a copy of `picture` with boxes and labels, how many)."""
    from agegender.inference import annotate, predict

    found = detector.find(picture)
    told = predict.predict_faces(picture, heads, found, crop)
    return annotate.with_boxes(picture, found, [label(prediction) for prediction in told]), len(found)


def label(prediction):
    """`31, F` as yu4u's demo has it: whole years, or the class of nets that tell classes."""
    ages, genders = [], []
    for answer in prediction.answers.values():
        if answer.task == "gender":
            genders.append(answer.text[0])
        else:
            ages.append(answer.text if answer.years is None else str(int(answer.years)))
    return ", ".join(ages + genders)


class Rate:
    """Frames a second: over the last `OVER` frames, and over all."""

    OVER = 30

    def __init__(self):
        self._times = [time.perf_counter()]
        self._began = self._times[0]

    def tick(self):
        """Another frame is done."""
        self._times = [*self._times, time.perf_counter()][-self.OVER - 1 :]

    @property
    def value(self):
        """Frames a second of late."""
        return (len(self._times) - 1) / max(1e-9, self._times[-1] - self._times[0])

    def mean(self, count):
        """Frames a second since it was made, of which there were `count`."""
        return count / max(1e-9, time.perf_counter() - self._began)
