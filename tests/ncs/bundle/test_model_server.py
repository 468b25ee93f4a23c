"""Model Server repositories: only keys that its schema allows, and models that take images as OpenCV decodes them."""

import json
import os

import numpy as np
import openvino
import pytest
from support.tiny_manifest import NAMES, compile_tiny

from ncs.cli import main
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

# the properties of "model_config" in Model Server's src/schema.cpp, which refuses all others
SCHEMA = {
    *("name", "base_path", "batch_size", "model_version_policy", "shape", "nireq", "target_device", "plugin_config"),
    *("stateful", "idle_sequence_cleanup", "low_latency_transformation", "max_sequence_number"),
    "custom_loader_options",
}
PIXELS = np.random.RandomState(5).uniform(90, 150, (3, 24, 24)).astype(np.float32)
IMAGES = np.random.RandomState(6).randint(0, 256, (1, 24, 24, 3), np.uint8)


def infer(xml, images):
    compiled = openvino.Core().compile_model(str(xml), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled.input(0), compiled(images)[0]


@pytest.mark.parametrize("order", ["BGR", "RGB"])
@pytest.mark.parametrize("mean", [None, [104, 117, 123], PIXELS], ids=["none", "channels", "pixels"])
def test_the_served_model_takes_raw_images(tmp_path, mean, order):
    manifest = compile_tiny(tmp_path, mean, order)
    assert main(["bundle", manifest, "-o", str(tmp_path / "models"), "--model-server"]) == 0
    assert sorted(os.listdir(tmp_path / "models" / "tiny" / "1")) == ["tiny.bin", "tiny.xml"]
    port, actual = infer(tmp_path / "models" / "tiny" / "1" / "tiny.xml", IMAGES)
    assert list(port.shape) == [1, 24, 24, 3] and port.element_type.get_type_name() == "u8"
    assert port.get_names() == {Manifest.read(manifest).input}
    transform = Manifest.read(manifest).transform
    with open_runner("CPU", [manifest]) as runner:
        expected = runner.run(transform.image(IMAGES[0])[None])
    np.testing.assert_allclose(actual, expected, atol=2e-3)  # the IR's weights are half precision


@pytest.mark.parametrize("device", ["CPU", "BATCH:CPU(16)"])
def test_configuration_has_allowed_keys_only(tmp_path, device):
    manifest = compile_tiny(tmp_path, [104, 117, 123])
    arguments = ["--model-server", "-d", device, "--mount-path", "/srv/"]
    assert main(["bundle", manifest, "-o", str(tmp_path / "models"), *arguments]) == 0
    config = json.loads((tmp_path / "models" / "config.json").read_text())
    assert set(config) == {"model_config_list"}
    (entry,) = config["model_config_list"]
    assert set(entry) == {"config"} and set(entry["config"]) <= SCHEMA
    assert entry["config"] == {"name": "tiny", "base_path": "/srv/tiny", "target_device": device}
    for name in ("Dockerfile", "compose.yaml"):
        assert "/srv/config.json" in (tmp_path / "models" / name).read_text()
    assert "storageUri: pvc://models/tiny" in (tmp_path / "models" / "kserve.yaml").read_text()


def test_dlstreamer(tmp_path, capsys):
    manifest = compile_tiny(tmp_path, PIXELS, "RGB")
    assert main(["bundle", manifest, "-o", str(tmp_path / "video"), "--dlstreamer"]) == 0
    assert sorted(name for name in os.listdir(tmp_path / "video") if name[0] != ".") == [
        "pipeline.sh",
        "tiny.bin",
        "tiny.json",
        "tiny.xml",
    ]
    facts = json.loads((tmp_path / "video" / "tiny.json").read_text())
    (output,) = facts["output_postproc"]
    assert output["labels"] == NAMES and output["layer_name"] == Manifest.read(manifest).output
    assert facts["input_preproc"][0]["params"]["color_space"] == "BGR"
    planes = np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2))
    port, actual = infer(tmp_path / "video" / "tiny.xml", planes)
    assert list(port.shape) == [1, 3, 24, 24]
    with open_runner("CPU", [manifest]) as runner:
        expected = runner.run(Manifest.read(manifest).transform.image(IMAGES[0])[None])
    np.testing.assert_allclose(actual, expected, atol=2e-3)
    pipeline = (tmp_path / "video" / "pipeline.sh").read_text()
    assert "gvaclassify model=tiny.xml model-proc=tiny.json" in pipeline and "{" not in pipeline.replace("${3", "")
