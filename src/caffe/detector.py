"""Detector: a Net that classifies windows of pictures, as R-CNN does (pycaffe's detector.py; Girshick et al.
2014).
"""

from __future__ import annotations

import numpy as np

from caffe import io
from caffe.classifier import make_transformer, preprocess_all
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.pycaffe import TEST


class Detector(Net):
    """Cuts windows out of pictures, warps them to the net's input, classifies them.

    `context_pad` pixels of the warped window show its surroundings; outside the picture stands the mean. The
    other parameters are those of caffe.io.Transformer.
    """

    def __init__(
        self,
        model_file,
        pretrained_file,
        mean=None,
        input_scale=None,
        raw_scale=None,
        channel_swap=None,
        context_pad=None,
    ):
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows):
        """Classify windows (ymin, xmin, ymax, xmax) of picture files: `images_windows` are (file name,
        windows) pairs.

        Returns a list of dicts, one a window: `window`, `prediction` (vector) and `filename`.
        """
        named = [(path, window) for path, windows in images_windows for window in windows]
        if not named:
            return []
        images = {}
        crops = []
        for path, window in named:
            if path not in images:
                images = {path: io.load_image(path)}  # one picture in memory at a time
            crops.append(self.crop(images[path], window))
        out = self.forward_all(**{self.inputs[0]: preprocess_all(self, self.transformer, crops)})
        predictions = out[self.outputs[0]]
        return [
            {"window": window, "prediction": prediction, "filename": path}
            for (path, window), prediction in zip(named, predictions)
        ]

    def detect_selective_search(self, image_fnames):
        """Not available: Caffe called a MATLAB program for it."""
        raise CaffeError(
            "selective search needs MATLAB and selective_search_ijcv_with_python, which this Caffe does not "
            "call; make windows another way (cv2.ximgproc of opencv-contrib has selective search) and give "
            "them to detect_windows"
        )

    def crop(self, im, window):
        """The window (ymin, xmin, ymax, xmax) of a picture (H, W, K), with its surroundings if there is a
        context_pad.
        """
        window = np.asarray(window).astype(int)
        if not self.context_pad:
            crop = im[window[0] : window[2], window[1] : window[3]]
            if not crop.size:
                raise CaffeError("window %s does not lie in the picture of %dx%d" % (window.tolist(), *im.shape[:2]))
            return crop
        return self._crop_with_context(im, window)

    def _crop_with_context(self, im, window):
        size = self.blobs[self.inputs[0]].width  # the input is a square
        half = (window[2:] - window[:2] + 1) / 2.0
        centre = window[:2] + half
        half = half * size / (size - self.context_pad * 2.0)
        box = np.round(np.concatenate([centre - half, centre + half]))
        scale = size / (box[2:] - box[:2] + 1)
        pad = np.round(np.maximum(0, -box[:2]) * scale).astype(int)
        box = np.clip(box, 0, np.tile(im.shape[:2], 2))
        extent = np.minimum(np.round((box[2:] - box[:2] + 1) * scale).astype(int), size - pad)
        cut = im[int(box[0]) : int(box[2]), int(box[1]) : int(box[3])]
        if not cut.size or min(extent) < 1:
            raise CaffeError("window %s does not lie in the picture of %dx%d" % (window.tolist(), *im.shape[:2]))
        crop = np.ones(self.crop_dims, np.float32) * self.crop_mean
        crop[pad[0] : pad[0] + extent[0], pad[1] : pad[1] + extent[1]] = io.resize_image(cut, tuple(extent))
        return crop

    def configure_crop(self, context_pad):
        """Set how many pixels of context a crop shows, and what stands where there is no picture: the mean as
        pictures are before the Transformer.
        """
        name = self.inputs[0]
        order = self.transformer.transpose[name]
        back = [order[t] for t in order]
        self.crop_dims = np.array(self.blobs[name].shape[1:])[back]
        self.context_pad = context_pad
        self.crop_mean = np.zeros(self.crop_dims, np.float32)
        if not context_pad:
            return
        if self.crop_dims[0] != self.crop_dims[1] or 2 * context_pad >= self.crop_dims[0]:
            raise CaffeError(
                "context_pad %d needs a square input larger than twice that, this net's is %dx%d"
                % (context_pad, *self.crop_dims[:2])
            )
        mean = self.transformer.mean.get(name)
        if mean is not None:
            mean = np.asarray(mean).transpose(back)
            swap = self.transformer.channel_swap.get(name)
            if swap is not None:
                mean = mean[:, :, np.argsort(swap)]
            self.crop_mean = mean / (self.transformer.raw_scale.get(name) or 1.0)
