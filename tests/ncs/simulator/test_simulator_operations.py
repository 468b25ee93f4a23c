"""The rarer kinds of stages: blobs of one operation each, against today's OpenVINO on the CPU, for both chips."""

import numpy as np
import openvino
import operations
import pytest

from ncs.myriad.compiler import Job, compile_blobs
from ncs.myriad.ir_downgrade import downgrade
from ncs.simulator import Simulator

CHIPS = ("MA2480", "MA2450")


@pytest.fixture(scope="module")
def runs(compiler, tmp_path_factory):
    """Name -> (inputs, what OpenVINO says, path of the blob without its chip's name), all compiled at once."""
    folder = tmp_path_factory.mktemp("operations")
    core, made, jobs = openvino.Core(), {}, []
    for number, name in enumerate(operations.OPERATIONS):
        net, inputs = operations.model(name)
        path = folder / f"{number}.xml"
        openvino.save_model(net, str(path), compress_to_fp16=False)
        compiled = core.compile_model(net, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        (folder / str(number)).mkdir()
        older = downgrade(str(path), str(folder / str(number)))
        made[name] = (inputs, next(iter(compiled(inputs).values())), str(folder / str(number) / "net_"))
        jobs += [Job(older, made[name][2] + chip + ".blob", chip) for chip in CHIPS]
    compile_blobs(jobs)
    return made


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_a_blob_says_what_openvino_says(runs, name):
    inputs, expected, path = runs[name]
    for chip in CHIPS:
        simulator = Simulator.from_file(path + chip + ".blob")
        given = {port.name: inputs[int(port.name[1])] for port in simulator.program.inputs}
        result = next(iter(simulator.run(given).values()))
        assert result.size == expected.size and simulator.findings() == []
        error = np.abs(result.reshape(-1) - expected.reshape(-1)).max() / max(1, np.abs(expected).max())
        assert error < 6e-3, f"{chip}: off by {error:.3g}"
