"""Repositories for OpenVINO Model Server, with the files that start it in a container or in KServe."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ncs.bundle import raw_image_ir
from ncs.bundle.output import output_folder, read_manifests, write

IMAGE = "openvino/model_server:latest"
# What Model Server's schema (src/schema.cpp) allows in the configuration of a model; anything else is refused.
ALLOWED_KEYS = (
    *("name", "base_path", "batch_size", "model_version_policy", "shape", "nireq", "target_device", "plugin_config"),
    *("stateful", "idle_sequence_cleanup", "low_latency_transformation", "max_sequence_number"),
    "custom_loader_options",
)

_DOCKERFILE = """FROM {image}
COPY --chown=ovms . {mount}
EXPOSE 8000 9000
CMD ["--config_path", "{mount}/config.json", "--rest_port", "8000", "--port", "9000"]
"""
_COMPOSE = """services:
  ovms:
    image: {image}
    command: --config_path {mount}/config.json --rest_port 8000 --port 9000
    volumes: [".:{mount}:ro"]
    ports: ["127.0.0.1:8000:8000", "127.0.0.1:9000:9000"]
"""
_KSERVE = """# kubectl apply -f kserve.yaml, after the folder has been copied to the storageUri; one service per net
{services}"""
_SERVICE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: {service}}}
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 4
    model:
      modelFormat: {{name: openvino_ir}}
      runtime: kserve-ovms
      protocolVersion: v2
      storageUri: pvc://models/{name}
"""
_README = """A repository for OpenVINO Model Server, written by `ncs bundle --model-server`.

  ovms --config_path {mount}/config.json --rest_port 8000 --port 9000
  docker compose up                 the same in a container, on loopback (compose.yaml)
  kubectl apply -f kserve.yaml      KServe; edit storageUri first

Clients send images as OpenCV decodes them: uint8, N x H x W x 3, BGR. Channel order, mean and scale are part of the
models. Model Server can decode and resize JPEG itself, but its resize is not the training's: for the exact Transform
use `ncs serve`.

{nets}"""


def model_server(
    paths: Sequence[str], folder: str, device: str = "CPU", mount_path: str = "/models"
) -> list[dict[str, str]]:
    """Write an OpenVINO Model Server repository: NAME/1/NAME.xml and .bin, and config.json; return the configurations.

    Clients send images as OpenCV reads them (uint8, NHWC, BGR); channel order, mean and scale become part of the model,
    because config.json cannot hold them. Dockerfile, compose.yaml and kserve.yaml start the server.

    Parameters
    ----------
    paths : sequence of str
        Manifests of the nets.
    folder : str
        Output folder.
    device : str
        Model Server's target_device, such as "CPU", "GPU" or "BATCH:CPU(16)".
    mount_path : str
        Path of the folder on the server.
    """
    manifests, mount, configs = read_manifests(paths), mount_path.rstrip("/"), []
    with output_folder(folder) as temporary:
        for manifest in manifests:
            version = os.path.join(temporary, manifest.name, "1")
            os.makedirs(version)
            raw_image_ir.write(manifest, os.path.join(version, manifest.name + ".xml"))
            configs.append({"name": manifest.name, "base_path": f"{mount}/{manifest.name}", "target_device": device})
        entries = [{"config": config} for config in configs]
        write(temporary, "config.json", json.dumps({"model_config_list": entries}, indent=1) + "\n")
        facts = {"image": IMAGE, "mount": mount}
        write(temporary, "Dockerfile", _DOCKERFILE.format(**facts))
        write(temporary, "compose.yaml", _COMPOSE.format(**facts))
        services = [_SERVICE.format(name=m.name, service=m.name.lower().replace("_", "-")) for m in manifests]
        write(temporary, "kserve.yaml", _KSERVE.format(services="---\n".join(services)))
        nets = "".join(f"{m.name}: {', '.join(m.labels)}\n" for m in manifests)
        write(temporary, "README.txt", _README.format(nets=nets, **facts))
    return configs
