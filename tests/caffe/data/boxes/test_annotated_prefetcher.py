"""AnnotatedPrefetcher where several solvers share the records."""

import numpy as np

from caffe.data import datum
from caffe.data.boxes import record
from caffe.data.boxes.prefetcher import AnnotatedPrefetcher
from caffe.device.transform import TRAIN, Transform
from caffe.proto import caffe_pb2


class OneRecord:
    """A database that repeats one record with a box."""

    source = "one"

    def __init__(self):
        image = np.arange(3 * 16 * 16, dtype=np.uint8).reshape(3, 16, 16)
        self.value = record.encode(datum.encode(image, 0), np.float32([[1, 0, 0.25, 0.25, 0.75, 0.75, 0]]))

    def __len__(self):
        return 1

    def at(self, index):
        while True:
            yield b"key", self.value


def batch(share):
    with AnnotatedPrefetcher(OneRecord(), 2, Transform(), TRAIN, seed=3, share=share) as prefetcher:
        prefetcher.param = caffe_pb2.TransformationParameter()
        prefetcher.param.distort_param.brightness_prob = 1
        prefetcher.param.distort_param.brightness_delta = 100
        return prefetcher.next().data.copy()


def test_solvers_draw_different_changes():
    assert np.array_equal(batch((0, 2)), batch((0, 2)))
    assert not np.array_equal(batch((0, 2)), batch((1, 2)))
