"""Generate the prototxt files of large nets: `python scripts/make_prototxt` in the top folder of the checkout."""

from __future__ import annotations

import importlib
from pathlib import Path

from caffe.proto import text
from caffe.utils.atomic_io import write_bytes

NETS = ("alexnet", "googlenet", "vgg16", "resnet50", "squeezenet")
HEAD = "# Written by `python scripts/make_prototxt`; change %s.py.\n"


def files(name: str) -> dict[str, str]:
    """{file name: text} of the folder of one net."""
    module = importlib.import_module(name)
    messages = {"train_val": module.net(True), "deploy": module.net(False), "solver": module.training()}
    return {key + ".prototxt": HEAD % ("scripts/make_prototxt/" + name) + text.format(m) for key, m in messages.items()}


def main() -> None:
    """Write all files."""
    for name in NETS:
        folder = Path(__file__).resolve().parents[2] / "prototxt" / name
        folder.mkdir(exist_ok=True)
        for file, content in files(name).items():
            write_bytes(folder / file, content.encode())


if __name__ == "__main__":
    main()
