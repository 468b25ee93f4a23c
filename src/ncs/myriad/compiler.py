"""Compiles ONNX (opset 11) or IR v10 to blobs for Neural Compute Sticks; needs no stick and works with any Python."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from caffe.errors import did_you_mean
from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError
from ncs.myriad import known_faults
from ncs.myriad.compile_process import PLUGIN, CompileProcess
from ncs.myriad.io_precision import PRECISIONS
from ncs.myriad.toolchain import Toolchain, unchecked


@dataclass(frozen=True)
class Platform:
    """A chip: the compiler's name for it, its stick, and its number of SHAVE cores and CMX slices."""

    key: str
    stick: str
    shaves: int


PLATFORMS = {
    "MA2480": Platform("VPU_MYRIAD_2480", "Neural Compute Stick 2, Myriad X", 16),
    "MA2450": Platform("VPU_MYRIAD_2450", "Neural Compute Stick 1, Myriad 2", 12),
}
NCS1_WARNING = (
    "no released runtime is known to run this blob on a Neural Compute Stick 1: OpenVINO 2021.4, which compiled it, "
    "has no firmware for Myriad 2, and 2020.3, which supports that stick, is untested with it"
)


class CompileError(NcsError):
    """The compiler rejected a net; `layer` is the failing layer (or None), `message` the compiler's message.

    The layer has its Caffe name if the model was exported from Caffe, else its name in the ONNX file.
    """

    def __init__(self, text: str, layer: str | None = None, message: str = "") -> None:
        super().__init__(text)
        self.layer = layer
        self.message = message


@dataclass(frozen=True)
class Job:
    """A net to compile. `cmx_slices` defaults to `shaves`; `config` has settings of the plugin.

    `inputs` and `outputs` are the types of all inputs and outputs of the blob: FP32, FP16, U8; "" keeps the model's.
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
    """Compile one net to `output`, atomically (see Job). Raises CompileError with the compiler's message."""
    compile_blobs([Job(model, output, platform, shaves, cmx_slices, config or {}, inputs, outputs)])


def compile_blobs(
    jobs: Sequence[Job],
    say: Callable[[str], None] = print,
    started: CompileProcess | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Compile several nets in one child process.

    Parameters
    ----------
    jobs : sequence of Job
    say : callable
        Receives log lines.
    started : CompileProcess, optional
        The child process, if it was started early; it runs no other jobs.
    meanwhile : callable
        Work of the caller, done while the compiler runs.

    Raises
    ------
    NcsError
        A job is invalid, or the compiler is not available.
    CompileError
        The compiler rejected nets; the blobs of all other nets are written.
    """
    settings = [plugin_settings(job) for job in jobs]
    process = started or CompileProcess(unchecked(say))
    tools = process.tools
    faults = []
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch, contextlib.closing(process):
        tasks = [_prepare_task(tools, scratch, number, *pair) for number, pair in enumerate(zip(jobs, settings))]
        process.send(tasks)
        meanwhile()
        results = process.results()
        for job, task, result in zip(jobs, tasks, results):
            if result["status"] == 0 and os.path.isfile(task["output"]):
                _copy_atomically(task["output"], job.output)
            else:
                faults.append(compile_error(tools, job, task, result))
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise CompileError("\n".join(str(fault) for fault in faults))


def plugin_settings(job: Job) -> dict[str, str]:
    """Return the plugin's configuration for a job. Raises NcsError for a missing model or invalid options."""
    if not os.path.isfile(job.model):
        raise NcsError(f"{job.model}: no such file; expected an ONNX or IR v10 model")
    weights = os.path.splitext(job.model)[0] + ".bin"
    if job.model.endswith(".xml") and not os.path.isfile(weights):
        raise NcsError(f"{job.model}: the weights of this IR, {os.path.basename(weights)}, are missing")
    return known_faults.settings(job.model, chip_settings(job))


def chip_settings(job: Job) -> dict[str, str]:
    """Return the settings of a job that do not depend on its model. Raises NcsError for invalid options."""
    if job.platform not in PLATFORMS:
        hint = did_you_mean(job.platform, PLATFORMS)
        raise NcsError(f"expected platform {' or '.join(PLATFORMS)}, received {job.platform!r}{hint}")
    for name, precision in (("inputs", job.inputs), ("outputs", job.outputs)):
        if precision not in ("", *PRECISIONS):
            raise NcsError(f"type of {name}: expected {', '.join(PRECISIONS)}, received '{precision}'")
    chip = PLATFORMS[job.platform]
    settings = {"VPU_MYRIAD_PLATFORM": chip.key}
    shaves = job.shaves if job.shaves is not None else job.cmx_slices
    slices = job.cmx_slices if job.cmx_slices is not None else job.shaves
    if shaves is not None and slices is not None:
        for name, count in (("SHAVE cores", shaves), ("CMX slices", slices)):
            if not 1 <= count <= chip.shaves:
                raise NcsError(f"{name} of {job.platform}: expected 1 to {chip.shaves}, received {count}")
        settings["MYRIAD_NUMBER_OF_SHAVES"] = str(shaves)
        settings["MYRIAD_NUMBER_OF_CMX_SLICES"] = str(slices)
        if 2 * max(shaves, slices) > chip.shaves and job.platform == "MA2480":
            settings["MYRIAD_THROUGHPUT_STREAMS"] = "1"  # the default of two streams would need twice as many
    settings.update(job.config)
    return settings


def plugins_xml(tools: Toolchain, settings: dict[str, str]) -> str:
    """Return the text of a plugins file with the MYRIAD plugin and its settings."""
    root = ElementTree.Element("ie")
    plugin = ElementTree.SubElement(
        ElementTree.SubElement(root, "plugins"), "plugin", name="MYRIAD", location=tools.library(PLUGIN)
    )
    properties = ElementTree.SubElement(plugin, "properties")
    for key, value in sorted(settings.items()):
        ElementTree.SubElement(properties, "property", key=key, value=value)
    return ElementTree.tostring(root, "unicode") + "\n"


def _prepare_task(tools: Toolchain, scratch: str, number: int, job: Job, settings: dict[str, str]) -> dict[str, str]:
    plugins = os.path.join(scratch, f"{number}.xml")
    with open(plugins, "w", encoding="utf-8") as stream:
        stream.write(plugins_xml(tools, settings))
    model = os.path.abspath(job.model)
    return {
        "model": model,
        "output": os.path.join(scratch, f"{number}.blob"),
        "plugins": plugins,
        "inputs": job.inputs,
        "outputs": job.outputs,
    }


def run_child(tools: Toolchain, tasks: Sequence[dict[str, str]]) -> list[dict]:
    """Run the tasks in a child process; return {"status", "output"} per task. Raises NcsError if the process fails."""
    with contextlib.closing(CompileProcess(tools)) as process:
        process.send(tasks)
        return process.results()


def _copy_atomically(source: str, output: str) -> None:
    import shutil

    with atomic_write(output) as temporary:
        shutil.copyfile(source, temporary)


def compile_error(tools: Toolchain, job: Job, task: dict[str, str], result: dict) -> CompileError:
    """Return the compiler's message as a CompileError; lists all layers of unsupported types at once."""
    message = compiler_message(result["output"]) or _exit_text(result["status"])
    names = caffe_layers(job.model)
    unsupported = unsupported_layers(tools, task) if "unsupported layer type" in message else []
    namespace, name = failing_layer(message)
    layer = names[namespace].get(name, name)
    text = message
    if unsupported:
        rows = [
            f'  layer "{names["tensor"].get(tensor, tensor)}": unsupported layer type "{layer_type}"'
            for tensor, layer_type in unsupported
        ]
        text = "\n".join([f"{len(unsupported)} layer(s) of unsupported types:", *rows])
        layer = names["tensor"].get(unsupported[0][0], unsupported[0][0])
    elif layer != name:
        text = f"{message} (this is layer '{layer}' of the Caffe net)"
    if re.search(_DYNAMIC, message):
        text = f"layer '{layer}': the number of its rows depends on values, which this compiler does not support"
    return CompileError(f"{job.model}: cannot be compiled for {job.platform}: {text}", layer or None, message)


def _exit_text(status: int) -> str:
    """Describe the wait status of a compiler that printed no message."""
    signal = status & 127
    return (
        f"the compiler crashed (signal {signal}) without a message" if signal else f"it ended with status {status >> 8}"
    )


def caffe_layers(model: str) -> dict[str, dict[str, str]]:
    """Return, for "node" and "tensor", name in ONNX -> Caffe layer; empty for models not exported from Caffe."""
    if model.endswith(".onnx"):
        from google.protobuf.message import DecodeError

        from caffe.convert.onnx_export import layer_names

        with contextlib.suppress(DecodeError, OSError):
            return {"node": layer_names(model, "node"), "tensor": layer_names(model, "tensor")}
    return {"node": {}, "tensor": {}}


def compiler_message(output: str) -> str:
    """Extract the exception's message from the compiler's output, without colours, source paths and warnings."""
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    text = output.split("what():", 1)[1] if "what():" in output else output
    text = re.sub(r"\[ [A-Z_]+ \]", "", text)
    text = re.sub(r"(?:[\w./-]*/)?[\w./-]+\.(?:cpp|hpp):\d+:? ?", "", text)
    text = re.sub(r"Check '.*' failed at", "", text)
    rows = [" ".join(row.split()) for row in text.splitlines()]
    rows = [row for row in rows if row and not row.startswith("[Warning]") and "terminate called" not in row]
    return " ".join(rows)


_DYNAMIC = (
    r"(?:dynamicToStaticShape\w+ transformation is not applicable for \S+"
    r"|DynamicToStaticShape transformation encountered dynamic node)"
)


def failing_layer(message: str) -> tuple[str, str]:
    """Return the layer in the compiler's message: ("node", its name in ONNX) or ("tensor", its output or "")."""
    node = re.search(r"ONNX node '<Node\([^)]*\): ([^>]*)>'", message)
    if node:
        return "node", node.group(1)
    for pattern in (r'layer "([^"]*)"', r'stage "([^"]*)"', r'for output "([^"@]*)', _DYNAMIC + r" (\S+)"):
        match = re.search(pattern, message)
        if match:
            return "tensor", match.group(1)
    return "tensor", ""


def unsupported_layers(tools: Toolchain, task: dict[str, str]) -> list[tuple[str, str]]:
    """Return (layer, type) of every layer the compiler does not support, by compiling with unknown layers ignored."""
    from ncs.myriad.stages import read_dump

    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        dump = os.path.join(scratch, "stages.dot")
        properties = {
            row.get("key", ""): row.get("value", "") for row in ElementTree.parse(task["plugins"]).iter("property")
        }
        properties["MYRIAD_IGNORE_UNKNOWN_LAYERS"] = "YES"
        # A pass may fail; this also dumps the graph before the first pass.
        properties["MYRIAD_DUMP_ALL_PASSES"] = "YES"
        properties["MYRIAD_DUMP_INTERNAL_GRAPH_FILE_NAME"] = dump
        plugins = os.path.join(scratch, "plugins.xml")
        with open(plugins, "w", encoding="utf-8") as stream:
            stream.write(plugins_xml(tools, properties))
        run_child(tools, [dict(task, plugins=plugins, output=os.path.join(scratch, "none.blob"))])
        path = os.path.join(scratch, "stages_00_initial.dot")
        if not os.path.isfile(path):
            return []
        return [(stage.layer, stage.layer_type) for stage in read_dump(path) if stage.type == "None"]
