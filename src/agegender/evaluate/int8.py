"""Predictions of a trained net in INT8, calibrated with its training images."""

from __future__ import annotations

import os
import tempfile

import numpy as np

from agegender.evaluate.predictions import database_batches
from agegender.zoo.model import Net


def predict(net: Net, weights: str, calibration: str, database: str) -> np.ndarray:
    """Return (N, classes) probabilities of a zoo net on an LMDB, computed by OpenVINO on the CPU.

    Raises
    ------
    NcsError
        If NNCF is not installed.
    """
    from agegender.zoo import compile
    from ncs.compiler import ir
    from ncs.compiler.compile import Options, compile_models
    from ncs.precision import quantize
    from ncs.runtime import open_runner

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        (manifest,) = compile_models([compile.job(net, scratch, weights)], Options(blob=False))
        assert manifest is not None  # zoo nets have one image input
        model, _, _ = quantize.quantize_model(manifest, quantize.Options(calibration))
        path = os.path.join(scratch, "int8.xml")
        ir.save(model, path)
        with open_runner("CPU", path, hint="throughput") as runner:
            batches = database_batches(database, net.transform(), size=16)
            return np.concatenate(list(runner.run_many(blob for blob, _, _ in batches)))
