"""Compiles ONNX (opset 11) or IR v10 into blobs for Neural Compute Sticks, with no stick, from any Python."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

from caffe.errors import did_you_mean
from caffe.utils import isolated
from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError
from ncs.myriad.io_precision import PRECISIONS
from ncs.myriad.toolchain import Toolchain, toolchain

PLUGIN = "libmyriadPlugin.so"


@dataclass(frozen=True)
class Platform:
    """A chip: the name its compiler knows, and how many SHAVE cores and CMX slices it has."""

    key: str
    stick: str
    shaves: int


PLATFORMS = {
    "MA2480": Platform("VPU_MYRIAD_2480", "Neural Compute Stick 2, Myriad X", 16),
    "MA2450": Platform("VPU_MYRIAD_2450", "Neural Compute Stick 1, Myriad 2", 12),
}
NCS1_WARNING = (
    "no released runtime is known to run this blob on a Neural Compute Stick 1: OpenVINO 2021.4, which "
    "compiled it, ships no firmware for Myriad 2, and 2020.3, which ran that stick, was never tried with it"
)


class CompileError(NcsError):
    """The compiler refused a net: `layer` is the layer at fault (or None), `said` its own text.

    A layer is named as in Caffe where the model came from there, else as in the ONNX file.
    """

    def __init__(self, text: str, layer: str | None = None, said: str = "") -> None:
        super().__init__(text)
        self.layer = layer
        self.said = said


@dataclass(frozen=True)
class Job:
    """One net to compile. `shaves` without `cmx_slices` takes as many slices; `config` holds plugin keys.

    `inputs` and `outputs` are the types that all of them get in the blob: FP32, FP16, U8; "" leaves them as the model has them.
    """

    model: str
    output: str
    platform: str = "MA2480"
    shaves: int | None = None
    cmx_slices: int | None = None
    config: dict[str, str] = field(default_factory=dict)
    inputs: str = ""
    outputs: str = ""


def compile_blob(
    model: str,
    output: str,
    platform: str = "MA2480",
    shaves: int | None = None,
    cmx_slices: int | None = None,
    config: dict[str, str] | None = None,
    inputs: str = "",
    outputs: str = "",
) -> None:
    """Compile one net; `output` appears whole or not at all. Raises CompileError in the compiler's words."""
    compile_blobs([Job(model, output, platform, shaves, cmx_slices, config or {}, inputs, outputs)])


def compile_blobs(jobs: Sequence[Job], say: Callable[[str], None] = print) -> None:
    """Compile many nets in one child process; those that can be are written even when others are refused."""
    settings = [settings_of(job) for job in jobs]
    tools = toolchain(say)
    faults = []
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        tasks = [_task(tools, scratch, number, *pair) for number, pair in enumerate(zip(jobs, settings))]
        results = run_child(tools, tasks)
        for job, task, result in zip(jobs, tasks, results):
            if result["status"] == 0 and os.path.isfile(task["output"]):
                _deliver(task["output"], job.output)
            else:
                faults.append(refusal(tools, job, task, result))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise CompileError("\n".join(str(fault) for fault in faults))


def settings_of(job: Job) -> dict[str, str]:
    """The plugin's configuration for a job; raises NcsError for a platform, count or model that does not exist."""
    if not os.path.isfile(job.model):
        raise NcsError(f"{job.model}: no such file; wanted is an ONNX or IR v10 model")
    weights = os.path.splitext(job.model)[0] + ".bin"
    if job.model.endswith(".xml") and not os.path.isfile(weights):
        raise NcsError(f"{job.model}: the weights of this IR, {os.path.basename(weights)}, are not beside it")
    return chip_settings(job)


def chip_settings(job: Job) -> dict[str, str]:
    """What of a job's configuration does not depend on its model."""
    if job.platform not in PLATFORMS:
        raise NcsError(
            "no platform {!r}{}; there are {}".format(
                job.platform, did_you_mean(job.platform, PLATFORMS), " and ".join(PLATFORMS)
            )
        )
    for what, given in (("inputs", job.inputs), ("outputs", job.outputs)):
        if given not in ("", *PRECISIONS):
            raise NcsError("types of {} are {}, received '{}'".format(what, ", ".join(PRECISIONS), given))
    chip = PLATFORMS[job.platform]
    settings = {"VPU_MYRIAD_PLATFORM": chip.key}
    shaves = job.shaves if job.shaves is not None else job.cmx_slices
    slices = job.cmx_slices if job.cmx_slices is not None else job.shaves
    if shaves is not None and slices is not None:
        for what, count in (("SHAVE cores", shaves), ("CMX slices", slices)):
            if not 1 <= count <= chip.shaves:
                raise NcsError("%s of %s: from 1 to %d, received %d" % (what, job.platform, chip.shaves, count))
        settings["MYRIAD_NUMBER_OF_SHAVES"] = str(shaves)
        settings["MYRIAD_NUMBER_OF_CMX_SLICES"] = str(slices)
        if 2 * max(shaves, slices) > chip.shaves and job.platform == "MA2480":
            settings["MYRIAD_THROUGHPUT_STREAMS"] = "1"  # two streams, the default, would need twice as many
    settings.update(job.config)
    return settings


def plugins_xml(tools: Toolchain, settings: dict[str, str]) -> str:
    """The text of a plugins file which names the MYRIAD plugin and all its settings."""
    rows = "".join(
        f"<property key={quoteattr(key)} value={quoteattr(value)}/>" for key, value in sorted(settings.items())
    )
    plugin = f'<plugin name="MYRIAD" location={quoteattr(tools.library(PLUGIN))}>'
    return f"<ie><plugins>{plugin}<properties>{rows}</properties></plugin></plugins></ie>\n"


def _task(tools: Toolchain, scratch: str, number: int, job: Job, settings: dict[str, str]) -> dict[str, str]:
    plugins = os.path.join(scratch, "%d.xml" % number)
    with open(plugins, "w", encoding="utf-8") as stream:
        stream.write(plugins_xml(tools, settings))
    model = os.path.abspath(job.model)
    return {
        "model": model,
        "output": os.path.join(scratch, "%d.blob" % number),
        "plugins": plugins,
        "inputs": job.inputs,
        "outputs": job.outputs,
    }


def run_child(tools: Toolchain, tasks: Sequence[dict[str, str]]) -> list[dict]:
    """Let a child do the tasks: one {"status", "said"} each. Raises NcsError when it cannot even start."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = dict(os.environ, LC_ALL="C")
    task = json.dumps({"folder": tools.folder, "plugin": PLUGIN, "jobs": list(tasks)})
    command = isolated.command(sys.executable, "ncs.myriad.compile_worker", root, "-S")
    result = subprocess.run(command, input=task.encode("utf-8"), capture_output=True, env=environment, check=False)
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    if len(lines) != len(tasks):
        said = result.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NcsError(
            "the Myriad compiler in %s did not run (status %d): %s"
            % (tools.folder, result.returncode, said[-1] if said else "no message")
        )
    return [json.loads(line) for line in lines]


def _deliver(made: str, output: str) -> None:
    import shutil

    with atomic_write(output) as temporary:
        shutil.copyfile(made, temporary)


def refusal(tools: Toolchain, job: Job, task: dict[str, str], result: dict) -> CompileError:
    """The compiler's words as an error; when a layer type is unknown, all such layers are named at once."""
    said = compiler_text(result["said"]) or _ended(result["status"])
    names = caffe_layers(job.model)
    unknown = unsupported_layers(tools, task) if "unsupported layer type" in said else []
    place, name = layer_at_fault(said)
    layer = names[place].get(name, name)
    text = said
    if unknown:
        rows = [
            '  layer "{}": unsupported layer type "{}"'.format(names["tensor"].get(tensor, tensor), kind)
            for tensor, kind in unknown
        ]
        text = "\n".join(["%d layer(s) of types that do not exist there:" % len(unknown), *rows])
        layer = names["tensor"].get(unknown[0][0], unknown[0][0])
    elif layer != name:
        text = f"{said} (this is layer '{layer}' of the Caffe net)"
    where = f"{job.model}: cannot be compiled for {job.platform}: "
    return CompileError(where + text, layer or None, said)


def _ended(status: int) -> str:
    """What can be said of a compiler that said nothing, from its wait status."""
    number = status & 127
    return (
        "the compiler crashed (signal %d) without a word" % number
        if number
        else "it ended with status %d" % (status >> 8)
    )


def caffe_layers(model: str) -> dict[str, dict[str, str]]:
    """By "node" and by "tensor": its name in ONNX -> Caffe layer, of a model that our exporter wrote; empty for others."""
    if model.endswith(".onnx"):
        from google.protobuf.message import DecodeError

        from caffe.convert.onnx_export import layer_names

        with contextlib.suppress(DecodeError, OSError):
            return {"node": layer_names(model, "node"), "tensor": layer_names(model, "tensor")}
    return {"node": {}, "tensor": {}}


def compiler_text(output: str) -> str:
    """What the compiler meant to say: its exception's text, without colours, source paths and warnings."""
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    text = output.split("what():", 1)[1] if "what():" in output else output
    text = re.sub(r"\[ [A-Z_]+ \]", "", text)
    text = re.sub(r"(?:[\w./-]*/)?[\w./-]+\.(?:cpp|hpp):\d+:? ?", "", text)
    text = re.sub(r"Check '.*' failed at", "", text)
    rows = [" ".join(row.split()) for row in text.splitlines()]
    rows = [row for row in rows if row and not row.startswith("[Warning]") and "terminate called" not in row]
    return " ".join(rows)


def layer_at_fault(said: str) -> tuple[str, str]:
    """What the compiler's text blames: ("node", its name in ONNX) or ("tensor", the name of what it makes, or "")."""
    node = re.search(r"ONNX node '<Node\([^)]*\): ([^>]*)>'", said)
    if node:
        return "node", node.group(1)
    for pattern in (r'layer "([^"]*)"', r'stage "([^"]*)"', r'for output "([^"@]*)'):
        found = re.search(pattern, said)
        if found:
            return "tensor", found.group(1)
    return "tensor", ""


def unsupported_layers(tools: Toolchain, task: dict[str, str]) -> list[tuple[str, str]]:
    """(layer, type) of every layer the compiler knows nothing of, found by letting it pass over them."""
    from ncs.myriad.stages import read_dump

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        dump = os.path.join(scratch, "stages.dot")
        with open(task["plugins"], encoding="utf-8") as stream:
            text = stream.read()
        extra = '<property key="MYRIAD_IGNORE_UNKNOWN_LAYERS" value="YES"/>'
        extra += '<property key="MYRIAD_DUMP_ALL_PASSES" value="YES"/>'  # the first: before a pass can fail
        extra += f'<property key="MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME" value={quoteattr(dump)}/>'
        plugins = os.path.join(scratch, "plugins.xml")
        with open(plugins, "w", encoding="utf-8") as stream:
            stream.write(text.replace("</properties>", extra + "</properties>"))
        run_child(tools, [dict(task, plugins=plugins, output=os.path.join(scratch, "none.blob"))])
        path = os.path.join(scratch, "stages_00_initial.dot")
        if not os.path.isfile(path):
            return []
        return [(stage.layer, stage.layer_type) for stage in read_dump(path) if stage.type == "None"]
