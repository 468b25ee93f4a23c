"""What a trained net answers in INT8, calibrated with the faces it learned from."""

from __future__ import annotations

import os
import tempfile

import numpy as np


def answers(net, weights, calibration, database):
    """(N, classes) probabilities of a zoo net on `database`, computed by OpenVINO on the processor.

    Raises NcsError where NNCF is not installed.
    """
    from agegender.zoo import compile
    from ncs.compiler import ir
    from ncs.compiler.compile import Options, compile_models
    from ncs.precision import quantize
    from ncs.precision.lmdb_batches import batches
    from ncs.runtime import open_runner

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        (manifest,) = compile_models([compile.job(net, scratch, weights)], Options(blob=False))
        model, _, _ = quantize.quantized(manifest, quantize.Options(calibration))
        path = os.path.join(scratch, "int8.xml")
        ir.save(model, path)
        with open_runner("CPU", path, hint="throughput") as runner:
            return np.concatenate(list(runner.run_many(part for part, _, _ in batches(database, net.transform()))))
