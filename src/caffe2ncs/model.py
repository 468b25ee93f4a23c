"""Model: predict, evaluate, train and export in five methods."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe.errors import CaffeError
from caffe2ncs import sources
from caffe2ncs.results import DetectionMetrics, Metrics, Result, SegmentationMetrics
from ncs.errors import NcsError


class Model:
    """A trained or trainable model.

    Parameters
    ----------
    model : str or sequence of str
        A prototxt (with `weights`), a zoo name (`agegender zoo list`), a manifest (.json) or several, or an ONNX, IR
        (.xml) or Myriad blob file.
    weights : str, optional
        The caffemodel of a prototxt, or other weights for a zoo net.
    mean : str or sequence of float, optional
        Mean file, or one value per channel, for a model that is not a manifest or zoo net.
    scale : float
        Factor after the mean.
    order : str
        Channel order of the training: "BGR" (Caffe's) or "RGB".
    labels : sequence of str
        Class names; default: the class indices.
    device : str
        CPU, GPU, NPU, AUTO, MYRIAD, ONNXRUNTIME, CAFFE ...; default: a stick if one is plugged in, else the CPU.

    Raises
    ------
    CaffeError
        If a file does not exist or the name is unknown.

    Examples
    --------
    >>> model = Model("compact-dlib")                                # doctest: +SKIP
    >>> for face in model.predict("group.jpg", detect=True):    # doctest: +SKIP
    ...     print(face.box, face.label, face.probability)
    """

    def __init__(
        self,
        model: str | Sequence[str],
        weights: str | None = None,
        *,
        mean: Any = None,
        scale: float = 1.0,
        order: str = "BGR",
        labels: Sequence[str] = (),
        device: str = "",
    ) -> None:
        self.source = sources.open_source(model, weights, mean, scale, order, labels)
        self.device = device
        self._nets: list = []
        self._objects_open: Any = None

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the device; the next prediction opens it again."""
        from agegender.inference.net_predictor import close_runners

        close_runners(self._nets)
        self._nets = []
        if self._objects_open is not None:
            self._objects_open.close()
            self._objects_open = None

    @property
    def names(self) -> list[str]:
        """The names of the outputs: of a net with one output its own name."""
        return [head.name for manifest in self.source.manifests() for head in manifest.all_heads()]

    def predict(
        self, images: str | np.ndarray | Iterable[str], *, detect: bool = False, crop: str = "aligned", batch: int = 16
    ) -> list[Any]:
        """Predict images.

        Parameters
        ----------
        images : str, ndarray or iterable of str
            Files, directories or globs; or one uint8 BGR image (H, W, 3).
        detect : bool
            Detect the faces: the images are photographs.
        crop : str
            How detected faces are cropped: "aligned" (by landmarks) or "box".
        batch : int
            Images per batch.

        Returns
        -------
        list of Result
            One per image, or with `detect` one per face, the largest face of an image first. A net for detection or
            segmentation gives one ObjectResult per image, with `objects` (label, score, box) or a `mask`.
        """
        from agegender.inference import image_files

        objects = self._object_predictor()
        if objects is not None:
            return self._objects(objects, images)
        predictor = self._predictor(detect, crop, batch)
        if isinstance(images, np.ndarray):
            results = [predictor.predict_array(images)]
        else:
            paths = image_files.find_images([images] if isinstance(images, (str, os.PathLike)) else images)
            results = list(predictor.predict(map(os.fspath, paths)))
        return [Result.from_prediction(result, face) for result in results for face in result.predictions]

    def _object_predictor(self) -> Any:
        """Return the ObjectPredictor of a net for detection or segmentation, or None."""
        from agegender.inference import objects

        manifests = self.source.manifests()
        if not any(map(objects.is_object_manifest, manifests)):
            return None
        if len(manifests) > 1:
            raise CaffeError(f"expected one net for detection or segmentation, received {len(manifests)} nets")
        if self._objects_open is None:
            self._objects_open = objects.ObjectPredictor(manifests[0], self.device)
        return self._objects_open

    @staticmethod
    def _objects(predictor: Any, images: Any) -> list:
        from agegender.inference import image_files

        if isinstance(images, np.ndarray):
            return [predictor.predict_array(images)]
        paths = image_files.find_images([os.fspath(images)] if isinstance(images, (str, os.PathLike)) else images)
        return [predictor.predict_array(image_files.read_image(path), path) for path in map(os.fspath, paths)]

    def val(self, data: str, *, task: str | None = None, backend: str = "lmdb", report: str | None = None) -> Any:
        """Evaluate on labelled images.

        Parameters
        ----------
        data : str
            An LMDB (or LevelDB) of Datums, each with a class index. For a net for detection, a database that `caffe
            convert_annoset` made; for one for segmentation, a text file with one `image label` per line, the label an
            image of classes (255: ignored).
        task : str, optional
            Which net, "age" or "gender", if the model has several; default: the one that the path names.
        backend : str
            "lmdb" or "leveldb".
        report : str, optional
            A directory for the full report; not for detection or segmentation.

        Returns
        -------
        Metrics, DetectionMetrics or SegmentationMetrics
        """
        objects = self._object_predictor()
        if objects is not None:
            if report:
                raise CaffeError("report= is for nets for classification")
            return self._val_objects(objects, data, backend)
        from agegender.evaluate import confusion, predictions
        from agegender.evaluate import report as reports

        net = self._net_for(data, task)
        batches = predictions.database_batches(data, net.transform, backend)
        scores = predictions.predict_batches(lambda blob: {"prob": net.probabilities(blob)}, batches).get("prob")
        if scores is None:
            raise CaffeError(f"{data}: expected at least one record")
        matrix = confusion.count(scores.truth, scores.predicted, len(net.labels))
        summary = reports.summary(matrix, net.labels)
        if report:
            text = confusion.format_matrix(matrix, list(net.labels.names))
            reports.write(report, net, scores, text, database=data, backend=backend)
        low, high = summary["accuracy_95"]
        return Metrics(
            summary["accuracy"], (low, high), matrix, net.labels.names, summary.get("one_off_accuracy"), summary
        )

    @staticmethod
    def _val_objects(predictor: Any, data: str, backend: str) -> DetectionMetrics | SegmentationMetrics:
        from agegender.evaluate import objects

        labels = predictor.labels
        if predictor.decoder == "detections":
            precisions, boxes, images = objects.average_precisions(predictor, data, backend)
            known = {labels[label]: value for label, value in precisions.items() if boxes[label]}
            mean = sum(known.values()) / max(len(known), 1)
            return DetectionMetrics(mean, known, {labels[key]: count for key, count in boxes.items() if count}, images)
        counts = objects.confusion_of_pixels(predictor, data)
        values = objects.intersection_over_union(counts)
        found = {label: float(value) for label, value in zip(labels, values) if not np.isnan(value)}
        accuracy = float(np.diag(counts).sum() / max(counts.sum(), 1))
        return SegmentationMetrics(float(np.nanmean(values)), found, accuracy, counts)

    def train(
        self,
        *,
        recipe: str | None = None,
        faces: str | None = None,
        solver: str | None = None,
        race: str = "all",
        seed: int = 230,
        minutes: float | None = None,
        iterations: int | None = None,
        folder: str | None = None,
    ) -> Model:
        """Train by a recipe on a directory of faces, or by a Caffe solver file.

        Parameters
        ----------
        recipe : str, optional
            A recipe (`agegender train --list`); needs `faces`.
        faces : str, optional
            Directory of faces named as UTKFace's.
        solver : str, optional
            A solver prototxt; training starts from this model's weights if it is a Caffe net.
        race, seed, minutes, iterations, folder
            Options of a recipe: faces to use, seed of split and training, length, and directory of the run.

        Returns
        -------
        Model
            With the trained weights. An interrupted training resumes with the same call.
        """
        if bool(recipe) == bool(solver):
            raise CaffeError("train: expected either recipe= and faces=, or solver=")
        if not recipe:
            return self._train_solver(os.fspath(str(solver)), iterations)
        if not faces:
            raise CaffeError(f"train: recipe '{recipe}' needs faces=, a directory of faces named as UTKFace's")
        from agegender import recipes
        from agegender.datasets import utkface
        from agegender.training.run import Run

        chosen = recipes.resolve(recipe)
        run = Run(chosen, faces, utkface.parse_races(race), seed, minutes=minutes, iterations=iterations, folder=folder)
        run.run()
        return Model(chosen.net, os.path.join(run.folder, run.weights), device=self.device)

    def export(
        self,
        format: str = "onnx",
        folder: str = "graph",
        *,
        shaves: int | Sequence[int] | None = None,
        platform: str = "MA2480",
        input_type: str = "FP32",
        fp16: bool = True,
    ) -> list[str]:
        """Write the model in another format.

        Parameters
        ----------
        format : str
            "onnx", "openvino" (IR), "blob" (Neural Compute Stick) or "bundle" (a directory that runs on a device).
        folder : str
            Output directory; with "bundle" it must not exist or be an earlier bundle.
        shaves : int or sequence of int, optional
            SHAVE cores of the blob; several give one blob each. Default: the compiler's choice.
        platform : str
            "MA2480" (Myriad X, Neural Compute Stick 2) or "MA2450" (Myriad 2).
        input_type : str
            Input of the blob: "FP32", "FP16", or "U8" for image bytes (mean and scale go into the graph).
        fp16 : bool
            Store the IR's weights in FP16.

        Returns
        -------
        list of str
            Paths of the written files.
        """
        if format not in sources.FORMATS:
            raise NcsError(f"unknown format '{format}'; expected one of {', '.join(sources.FORMATS)}")
        if format == "bundle":
            return self._bundle(folder)
        from ncs.compiler.compile import Options

        counts = (shaves,) if isinstance(shaves, int) else tuple(shaves or ())
        bytes_in = input_type == "U8" and isinstance(self.source, sources.CompiledSource)
        options = Options(
            platform,
            counts[0] if counts else None,
            blob=format == "blob",
            ir=format == "openvino",
            fp16=fp16,
            shave_counts=counts if len(counts) > 1 else (),
            bytes_in=bytes_in,
            inputs="" if bytes_in else input_type,
        )
        return self.source.export(format, folder, options)

    def _bundle(self, folder: str) -> list[str]:
        import tempfile

        from ncs.bundle import bundle
        from ncs.compiler.compile import Options

        with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
            self.source.export("blob", scratch, Options())
            manifests = sorted(glob.glob(os.path.join(scratch, "*.json")))
            if not manifests:
                raise NcsError("a bundle needs a Caffe net or zoo net; use `ncs bundle MANIFEST` for manifests")
            return [os.path.join(folder, path) for path in bundle.bundle(manifests, folder)]

    def _train_solver(self, solver: str, iterations: int | None) -> Model:
        from caffe.proto.read import read_solver
        from caffe.solver import SOLVERS
        from caffe.tools.train import train

        param = read_solver(solver).param
        if iterations:
            param.max_iter = iterations
        trainer = SOLVERS[param.type].from_param(param)
        if isinstance(self.source, sources.CaffeSource):
            trainer.net.copy_from(self.source.weights)
        train(trainer, "")
        weights = f"{param.snapshot_prefix}_iter_{trainer.iter}.caffemodel"
        if isinstance(self.source, sources.CaffeSource):
            source = self.source
            trained = Model(source.prototxt, weights, labels=source.labels, device=self.device)
            trained.source.transform = source.transform  # type: ignore[attr-defined]
            return trained
        if isinstance(self.source, sources.ZooSource):
            return Model(self.source.name, weights, device=self.device)
        return Model(param.net, weights, device=self.device)

    def _open(self) -> list:
        if not self._nets:
            from agegender.inference.net_predictor import open_heads
            from ncs import runtime

            device = self.device or runtime.default_device()[0]
            for manifest in self.source.manifests():
                self._nets += open_heads(manifest, runtime.open_runner(device, manifest))
        return self._nets

    def _predictor(self, detect: bool, crop: str, batch: int) -> Any:
        from agegender.inference.faces import face_settings
        from agegender.inference.predict import FacePredictor

        nets = self._open()
        if not detect:
            faces = any(face_settings.landmarks(net.transform) is not None for net in nets)
            return FacePredictor(nets, batch=batch, check=_framing_check() if faces else None)
        from agegender.inference.faces.detect import Detector

        return FacePredictor(nets, Detector().find, crop, min(batch, 4))

    def _net_for(self, data: str, task: str | None) -> Any:
        nets = self._open()
        if task is None and len(nets) > 1:
            task = next((name for name in ("gender", "age") if name in os.path.basename(os.path.normpath(data))), None)
        chosen = [net for net in nets if task is None or net.task == task]
        if len(chosen) != 1:
            tasks = ", ".join(f"'{net.task}'" for net in nets)
            raise CaffeError(f"val: expected task= one of {tasks}, received {task!r}")
        return chosen[0]


def _framing_check():
    from agegender.inference.faces.framing import default_check

    return default_check()
