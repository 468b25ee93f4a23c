"""Write the folder of a training: train_val.prototxt, solver.prototxt and labels.txt."""

from __future__ import annotations

import os
from typing import Any

from agegender.errors import AgeGenderError
from agegender.workbench.tasks import run_files
from caffe.proto import text
from caffe.utils.atomic_io import atomic_folder


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Create the folder `run`; its parent must be models."""
    net, solver = run_files.read(values)
    folder = values["run"]
    if os.path.lexists(folder):
        raise AgeGenderError(f"name: {folder} exists; choose another name")
    with atomic_folder(folder) as temporary:
        for name, message in ((run_files.NET_NAME, net), (run_files.SOLVER_NAME, solver)):
            with open(os.path.join(temporary, name), "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(f"# written by the workbench; run caffe in its root\n{text.format(message)}")
        if values.get("labels"):
            with open(os.path.join(temporary, "labels.txt"), "w", encoding="utf-8") as stream:
                stream.write("".join(f"{name}\n" for name in values["labels"]))
    return {"solver": f"{folder}/{run_files.SOLVER_NAME}", "max_iter": solver.max_iter}
