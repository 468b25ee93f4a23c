"""The simulator as a runner and in ncs run, trace, check and diff; every output contains "simulated"."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support import caffe_nets, older_python

from caffe.device.transform import Transform
from ncs.cli import main
from ncs.compiler.compile import Model, Options, compile_models
from ncs.errors import NcsError
from ncs.runtime import available, open_runner
from ncs.simulator import Simulator
from ncs.simulator.trace import trace


@pytest.fixture(scope="module")
def compiled(compiler, tmp_path_factory):
    """Return the folder of a small net: net.prototxt, net.caffemodel and tiny.{blob,json,onnx}."""
    folder = tmp_path_factory.mktemp("surfaces")
    prototxt, weights = caffe_nets.tiny(folder, scale=None)
    model = Model("tiny", prototxt, weights, Transform(size=(8, 8), scale=1 / 255), list("abcde"))
    compile_models([(model, str(folder / "tiny"))], Options(ir=False), say=lambda text: None)
    pixels = np.random.RandomState(1).randint(0, 256, (8, 8, 3), np.uint8)
    cv2.imwrite(str(folder / "image.png"), pixels)
    return folder


def test_runner(compiled):
    batch = np.random.RandomState(2).uniform(0, 1, (3, 3, 8, 8)).astype(np.float32)
    assert "SIMULATOR" in available()
    with (
        open_runner("SIMULATOR", str(compiled / "tiny.json")) as simulated,
        open_runner("CAFFE", str(compiled / "tiny.json")) as net,
    ):
        assert "simulated" in simulated.device and simulated.input_shape == (1, 3, 8, 8)
        assert np.abs(simulated.run(batch) - net.run(batch)).max() < 2e-3
        assert simulated.findings() == []
    with pytest.raises(NcsError, match="needs blob"):
        open_runner("SIMULATOR", str(compiled / "tiny.onnx"))


def test_run_prints_labels_and_simulated(compiled, capsys):
    assert main(["run", str(compiled / "tiny.json"), str(compiled / "image.png"), "--top", "2"]) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1 and "prob: " in output and "(simulated, " in output
    assert any(f" {label} " in output for label in "abcde")
    array = np.random.RandomState(1).uniform(0, 1, (3, 8, 8)).astype(np.float32)
    np.save(compiled / "input.npy", array)
    assert main(["run", str(compiled / "tiny.blob"), str(compiled / "input.npy"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["device"] == "simulated" and row["findings"] == [] and len(row["outputs"]["prob"]) == 5
    with open_runner("CAFFE", str(compiled / "tiny.json")) as net:
        assert np.abs(np.array(row["outputs"]["prob"]) - net.run(array[None])[0]).max() < 2e-3


def test_run_reports_invalid_arguments(compiled, capsys):
    for arguments, text in (
        ([str(compiled / "none.blob")], "No such file"),
        ([str(compiled / "tiny.blob"), str(compiled / "none.png")], "not an image"),
        ([str(compiled / "tiny.blob"), str(compiled / "image.png"), "-S", "0"], "a divisor other than 0"),
    ):
        assert main(["run", *arguments]) != 0
        assert text in capsys.readouterr().err


def test_trace_prints_all_stages_or_one(compiled, capsys):
    simulator = Simulator.from_file(compiled / "tiny.blob")
    assert main(["trace", str(compiled / "tiny.blob")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("simulated") and len(rows) == 1 + len(simulator.program.stages)
    last = len(simulator.program.stages) - 1
    saved = compiled / "stage.npz"
    assert main(["trace", str(compiled / "tiny.blob"), "--stage", str(last), "--save", str(saved)]) == 0
    output = capsys.readouterr().out
    assert f"stage {last} (Convert)" in output and "tensor 1 (written): FP32 NC 1x5 in output[0:20]" in output
    inputs = {"data": np.random.default_rng(0).uniform(0, 255, (1, 3, 8, 8)).astype(np.float32)}
    with np.load(saved) as arrays:
        assert np.array_equal(arrays["tensor1"], simulator.run(inputs)["prob"])
    assert main(["trace", str(compiled / "tiny.blob"), "--stage", "99"]) != 0
    assert f"stage: expected 0 to {last}" in capsys.readouterr().err


def test_trace_returns_tensors_before_and_after(compiled):
    simulator = Simulator.from_file(compiled / "tiny.blob")
    inputs = {"data": np.ones((1, 3, 8, 8), np.float32)}
    first = trace(simulator, inputs, 0)
    assert not first[0].changed and first[1].changed and np.array_equal(first[0].after, inputs["data"])


def test_check_simulates_the_blob_without_a_stick(compiled, capsys):
    arguments = [str(compiled / "net.prototxt"), "-w", str(compiled / "net.caffemodel"), "-s", "4"]
    assert main(["check", *arguments, "--json", str(compiled / "check.json")]) == 0
    output = capsys.readouterr().out
    assert output.startswith("SIMULATED, NOT A STICK") and "FP16 emulated" in output and "Pixel-wise L2 error" in output
    facts = json.loads((compiled / "check.json").read_text())
    assert facts["device"] == "SIMULATOR" and facts["simulated"] and not facts["emulation"]


def test_check_of_an_existing_blob(compiled, capsys):
    """A blob with a changed weight does not pass."""
    content = bytearray((compiled / "tiny.blob").read_bytes())
    simulator = Simulator(bytes(content))
    weights = next(t for s in simulator.program.stages for t in s.tensors if t.location == "blob" and t.extent > 100)
    offset = len(content) - len(simulator.program.constants) + weights.offset
    content[offset : offset + 2] = np.float16(9).tobytes()
    (compiled / "changed.blob").write_bytes(content)
    np.save(compiled / "input.npy", np.random.RandomState(1).uniform(0, 1, (1, 3, 8, 8)))
    arguments = [
        str(compiled / "net.prototxt"),
        "-w",
        str(compiled / "net.caffemodel"),
        "-i",
        str(compiled / "input.npy"),
    ]
    assert main(["check", *arguments, "--blob", str(compiled / "tiny.blob")]) == 0
    assert f"Blob: {compiled / 'tiny.blob'}" in capsys.readouterr().out
    assert main(["check", *arguments, "--blob", str(compiled / "changed.blob")]) == 1
    assert ", Fail" in capsys.readouterr().out
    assert main(["check", *arguments, "--blob", str(compiled / "tiny.blob"), "-d", "FP16"]) != 0
    assert "expected -d SIMULATOR or MYRIAD" in capsys.readouterr().err


def test_diff_simulates_both_blobs(compiled, capsys):
    blob = str(compiled / "tiny.blob")
    with open(blob, "rb") as stream:
        content = bytearray(stream.read())
    simulator = Simulator(bytes(content))
    weights = next(t for s in simulator.program.stages for t in s.tensors if t.location == "blob" and t.extent > 100)
    offset = len(content) - len(simulator.program.constants) + weights.offset
    content[offset : offset + 2] = np.float16(30).tobytes()
    (compiled / "other.blob").write_bytes(content)
    assert main(["diff", blob, blob, "--run"]) == 0
    assert "simulated: prob: max difference 0," in capsys.readouterr().out
    np.save(compiled / "input.npy", np.random.RandomState(1).uniform(0, 1, (1, 3, 8, 8)))
    assert main(["diff", blob, str(compiled / "other.blob"), "--run", str(compiled / "input.npy")]) == 1
    output = capsys.readouterr().out
    assert "different constants" in output and "max difference 0," not in output


def test_mvncapi_with_the_simulator(compiled, monkeypatch):
    """An NCAPI script runs with NCS_DEVICE=SIMULATOR."""
    from ncs.mvnc_compat import mvncapi

    monkeypatch.setenv("NCS_DEVICE", "SIMULATOR")
    device = mvncapi.Device(mvncapi.enumerate_devices()[0])
    device.open()
    graph = mvncapi.Graph("tiny")
    fifos = graph.allocate_with_fifos(device, (compiled / "tiny.blob").read_bytes())
    image = np.random.RandomState(3).uniform(0, 1, (3, 8, 8)).astype(np.float32)
    graph.queue_inference_with_fifo_elem(*fifos, image.transpose(1, 2, 0), "tag")  # NCAPI uses channels last
    result, _ = fifos[1].read_elem()
    with open_runner("CAFFE", str(compiled / "tiny.json")) as net:
        assert np.abs(result.ravel() - net.run(image[None])[0]).max() < 2e-3
    graph.destroy()
    device.close()


def test_runs_on_the_devices_python(compiled):
    """Python 3.7 with its NumPy gives the same results."""
    packages = ["openvino==2021.4.2", "numpy", "opencv-python-headless"]
    python = older_python.environment("openvino-2021.4.2-python3.7", ["3.7"], packages)
    code = (
        "import sys, numpy as np\nfrom ncs.simulator import Simulator\n"
        "s = Simulator.from_file(sys.argv[1])\n"
        "print(s.run({'data': np.ones((1, 3, 8, 8), np.float32)})['prob'].tolist())"
    )
    output = older_python.run(python, code, compiled / "tiny.blob")
    expected = Simulator.from_file(compiled / "tiny.blob").run({"data": np.ones((1, 3, 8, 8), np.float32)})["prob"]
    assert np.abs(np.array(json.loads(output)) - expected).max() < 1e-3


def test_simulator_needs_neither_torch_nor_onnx(compiled):
    """On the device only NumPy is required."""
    code = (
        "import sys; sys.modules.update(torch=None, onnx=None, google=None, cv2=None)\n"
        "import numpy as np\nfrom ncs.simulator import Simulator\n"
        f"s = Simulator.from_file({str(compiled / 'tiny.blob')!r})\n"
        "print(s.run({'data': np.zeros((1, 3, 8, 8), np.float32)})['prob'].sum())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert abs(float(result.stdout) - 1) < 1e-2


def test_simulators_of_several_threads_load_all_stages(tmp_path):
    """The stages are imported at the first use, even if threads use a simulator for the first time together."""
    import subprocess
    import sys

    code = (
        "import threading\n"
        "from ncs.simulator import stages\n"
        "counts = []\n"
        "threads = [threading.Thread(target=lambda: counts.append(len(stages.load()))) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "assert len(counts) == 8 and len(set(counts)) == 1, counts\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
