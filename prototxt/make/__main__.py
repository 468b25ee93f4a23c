"""Write the nets of prototxt/ that repeat themselves: `python prototxt/make` from the top of the checkout."""

from __future__ import annotations

import importlib
from pathlib import Path

from caffe.files import write_bytes
from caffe.proto import text

NETS = ("alexnet", "googlenet", "vgg16", "resnet50", "squeezenet")
HEAD = "# Written by `python prototxt/make`; change %s.py.\n"


def files(name):
    """File name -> text of the folder of one net."""
    made = importlib.import_module(name)
    messages = {"train_val": made.net(True), "deploy": made.net(False), "solver": made.training()}
    return {key + ".prototxt": HEAD % ("prototxt/make/" + name) + text.format(m) for key, m in messages.items()}


def main():
    """Write every file."""
    for name in NETS:
        folder = Path(__file__).parents[1] / name
        folder.mkdir(exist_ok=True)
        for file, content in files(name).items():
            write_bytes(folder / file, content.encode())


if __name__ == "__main__":
    main()
