"""Write the nets of prototxt/ that repeat themselves: `python scripts/make_prototxt` from the top of the checkout."""

from __future__ import annotations

import importlib
from pathlib import Path

from caffe.proto import text
from caffe.utils.atomic_io import write_bytes

NETS = ("alexnet", "googlenet", "vgg16", "resnet50", "squeezenet")
HEAD = "# Written by `python scripts/make_prototxt`; change %s.py.\n"


def files(name):
    """File name -> text of the folder of one net."""
    made = importlib.import_module(name)
    messages = {"train_val": made.net(True), "deploy": made.net(False), "solver": made.training()}
    return {key + ".prototxt": HEAD % ("scripts/make_prototxt/" + name) + text.format(m) for key, m in messages.items()}


def main():
    """Write every file."""
    for name in NETS:
        folder = Path(__file__).parents[1] / name
        folder.mkdir(exist_ok=True)
        for file, content in files(name).items():
            write_bytes(folder / file, content.encode())


if __name__ == "__main__":
    main()
