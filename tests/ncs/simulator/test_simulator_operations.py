"""Compare blobs of one operation each with the current OpenVINO on the CPU, for both chips."""

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
    """Return {name: (inputs, output of OpenVINO, prefix of the blob paths)}, all compiled at once."""
    folder = tmp_path_factory.mktemp("operations")
    core, cases, jobs = openvino.Core(), {}, []
    for number, name in enumerate(operations.OPERATIONS):
        net, inputs = operations.model(name)
        path = folder / f"{number}.xml"
        openvino.save_model(net, str(path), compress_to_fp16=False)
        compiled = core.compile_model(net, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        (folder / str(number)).mkdir()
        older = downgrade(str(path), str(folder / str(number)))
        cases[name] = (inputs, next(iter(compiled(inputs).values())), str(folder / str(number) / "net_"))
        jobs += [Job(older, cases[name][2] + chip + ".blob", chip) for chip in CHIPS]
    compile_blobs(jobs)
    return cases


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_blob_equals_openvino(runs, name):
    inputs, expected, path = runs[name]
    for chip in CHIPS:
        simulator = Simulator.from_file(path + chip + ".blob")
        blob_inputs = {port.name: inputs[int(port.name[1])] for port in simulator.program.inputs}
        result = next(iter(simulator.run(blob_inputs).values()))
        assert result.size == expected.size and simulator.findings() == []
        error = np.abs(result.reshape(-1) - expected.reshape(-1)).max() / max(1, np.abs(expected).max())
        assert error < 6e-3, f"{chip}: error {error:.3g}"
