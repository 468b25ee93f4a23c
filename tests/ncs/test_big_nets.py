"""The full-size nets of the table in docs/guides/stick.md: blobs, and equal outputs of OpenVINO 2021.4.2 and newer."""

import re
import shutil

import numpy as np
import pytest
from support import big_nets, older_python
from support.checkout import ROOT

from ncs.myriad.blob import read_blob
from ncs.myriad.compiler import PLATFORMS, Job, compile_blobs
from ncs.runtime import open_runner

SHAVES = (1, 4, 8, 12, 16)
# (bytes, stages) for MA2480 and MA2450; stages for MA2480 at 1, 4, 8, 12 and 16 shaves. Bytes vary slightly.
TABLE = {
    "AgeNet": ((24583360, 36), (22835008, 21), (63, 38, 36, 28, 28)),
    "GenderNet": ((24575168, 36), (22827840, 21), (63, 38, 36, 28, 28)),
    "SqueezeNet": ((2496128, 47), (2482560, 60), (204, 72, 47, 46, 43)),
    "GoogLeNet": ((14101824, 111), (14023040, 137), (370, 138, 111, 113, 112)),
    "ResNet-50": ((51237888, 195), (51085056, 131), (518, 268, 198, 189, 179)),
    "VGG-16": ((277287104, 175), (276722560, 41), ()),  # a blob of 0.3 GB: one number of cores is enough
    "WRN-16-8 (age)": ((48455424, 83), (48396928, 53), (234, 120, 85, 82, 67)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("big")
    yield folder
    shutil.rmtree(folder)  # a gigabyte


@pytest.fixture(scope="module")
def exported(folder):
    """Name -> Exported, created on first use."""
    nets = {}

    def get(name):
        if name not in nets:
            nets[name] = big_nets.export(name, folder)
        return nets[name]

    return get


@pytest.mark.parametrize("name", TABLE)
def test_blobs_for_both_chips_and_five_numbers_of_shaves(compiler, exported, folder, name):
    myriad_x, myriad_2, by_shaves = TABLE[name]
    expected = {("MA2480", None): myriad_x, ("MA2450", None): myriad_2}
    expected.update({("MA2480", shaves): (myriad_x[0], stages) for shaves, stages in zip(SHAVES, by_shaves)})
    paths = {case: str(folder / ("{}_{}.blob".format(*case))) for case in expected}
    compile_blobs([Job(exported(name).onnx, path, *case) for case, path in paths.items()])
    for (platform, shaves), path in paths.items():
        blob, (size, stages) = read_blob(path), expected[platform, shaves]
        assert len(blob.stages) == stages and abs(blob.file_size / size - 1) < 0.025
        assert blob.shaves <= PLATFORMS[platform].shaves and shaves in (None, blob.shaves)
        assert ("HW" in blob.unit_counts()) == (platform == "MA2480")
        assert blob.inputs[0].dims == exported(name).input.shape
        assert np.prod(blob.outputs[0].dims) == exported(name).output.size


def test_openvino_2021_and_the_current_version_agree(exported, folder):
    """Both CPU plugins agree with each other and with the Caffe net to 1e-4."""
    python = older_python.environment(
        "openvino-2021.4.2-python3.8", ["3.8", "3.9"], ["openvino==2021.4.2", "numpy", "opencv-python-headless"]
    )
    for name in TABLE:
        np.save(exported(name).onnx + ".npy", exported(name).input)
    older_python.run(
        python,
        """if 1:
        import sys, numpy as np
        from ncs.runtime.myriad import Myriad
        for path in sys.argv[1:]:
            with Myriad(path, "CPU") as runner:
                np.save(path + ".old.npy", runner.run(np.load(path + ".npy")))
        """,
        *(exported(name).onnx for name in TABLE),
    )
    for name in TABLE:
        net = exported(name)
        with open_runner("CPU", net.onnx) as runner:
            new = runner.run(net.input)
        old = np.load(net.onnx + ".old.npy")
        for first, second in ((old, new), (old, net.output), (new, net.output)):
            difference = np.abs(first - second).max()
            assert difference < 1e-4 and difference < 0.01 * net.output.max(), name


def test_the_documented_table_matches():
    text = (ROOT / "docs" / "guides" / "stick.md").read_text()
    for name, (myriad_x, myriad_2, by_shaves) in TABLE.items():
        row = re.search(rf"^\| {re.escape(name)} \|(.*)$", text, re.M).group(1)
        cells = [
            [int(word.replace(",", "")) for word in re.findall(r"\d+(?:,\d{3})*", cell)] for cell in row.split("|")
        ]
        assert cells[0] == [*myriad_x] and cells[1] == [*myriad_2] and cells[2] == [*by_shaves], name
