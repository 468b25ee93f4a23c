"""`agegender compile`, which compile2Movidius.sh runs: input and output precision do not change predictions."""

import numpy as np
import pytest

from agegender import zoo
from agegender.cli import main
from agegender.zoo import assemble
from ncs.myriad.blob import read_blob
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest


@pytest.fixture
def weights(tmp_path):
    """Seeded weights of the compact gender net."""
    net, rng = assemble.deploy_net(zoo.nets()["compact-gender"]), np.random.default_rng(8)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.normal(0, (2 / max(1, np.prod(blob.shape[1:]))) ** 0.5, blob.shape)
    net.save(str(tmp_path / "compact.caffemodel"))
    return str(tmp_path / "compact.caffemodel")


def test_u8_input_and_fp16_output(weights, tmp_path):
    command = ["compile", "--model", "compact-gender", "-w", weights, "-s", "4", "-o"]
    assert main([*command, str(tmp_path / "plain")]) == 0
    assert main([*command, str(tmp_path / "bytes"), "-ip", "U8", "-op", "FP16"]) == 0
    image, outputs = np.random.default_rng(9).integers(0, 256, (200, 200, 3), np.uint8), []
    for kind in ("plain", "bytes"):
        manifest = Manifest.read(tmp_path / kind / "compact-gender.json")
        with open_runner("CPU", manifest) as runner:
            outputs.append(runner.run(manifest.transform.image(image)[None])[0])
    assert abs(outputs[0] - outputs[1]).max() < 0.01 and outputs[0].std() > 0
    plain, u8 = (read_blob(str(tmp_path / kind / "compact-gender.blob")) for kind in ("plain", "bytes"))
    assert (plain.inputs[0].dtype, plain.outputs[0].dtype) == ("FP32", "FP32")
    assert (u8.inputs[0].dtype, u8.outputs[0].dtype) == ("U8", "FP16")
