"""The child process that runs Intel's native compiler through ctypes; ncs.myriad.compiler starts it.

Reads two lines of JSON from standard input: {"folder", "plugin"}, whose libraries it checks and loads, then the jobs,
[{"model", "output", "plugins", "inputs", "outputs"}]. Forks for each job, because a C++ exception that reaches ctypes
terminates the process with its message on standard error. Writes one JSON line per job: {"status", "output"}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import tempfile
from typing import Any

from ncs.errors import NcsError
from ncs.myriad.io_precision import set_types
from ncs.myriad.skip_device_search import hide_devices
from ncs.myriad.toolchain import Toolchain, check

_LIBRARIES = (
    "libusb-1.0.so",
    "libtbb.so.2",
    "libtbbmalloc.so.2",
    "libngraph.so",
    "libinference_engine_transformations.so",
    "libinference_engine.so",
)
_STRING = "_ZNSsC1EPKcRKSaIcE"  # std::string(char const*, allocator const&), old ABI
_CORE = "_ZN15InferenceEngine4CoreC1ERKSs"
_READ = "_ZNK15InferenceEngine4Core11ReadNetworkERKSsS2_"
_LOAD = "_ZN15InferenceEngine4Core11LoadNetworkERKNS_10CNNNetworkERKSsRKSt3mapISsSsSt4lessISsESaISt4pairIS4_SsEEE"
_EXPORT = "_ZN15InferenceEngine17ExecutableNetwork6ExportERKSs"


def main() -> None:
    """Run all jobs from standard input; the exit status is 0 when all were tried."""
    compiler = json.loads(sys.stdin.readline())
    try:
        check(Toolchain(compiler["folder"]))
    except NcsError as error:
        sys.exit(str(error))
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the libraries may print to standard output
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = load(compiler["folder"], compiler["plugin"])
    for job in json.loads(sys.stdin.readline() or "[]"):
        print(json.dumps(_run_forked(library, job)), file=results, flush=True)


def load(folder: str, plugin: str) -> Any:
    """Load the compiler's libraries in dependency order; return the inference engine's."""
    for name in _LIBRARIES:
        library = ctypes.CDLL(os.path.join(folder, name), ctypes.RTLD_GLOBAL)
    path = os.path.join(folder, plugin)
    ctypes.CDLL(path)
    hide_devices(path)
    return library


def _run_forked(library: Any, job: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as output:
        process = os.fork()
        if process == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            compile_one(library, job)
        status = os.waitpid(process, 0)[1]
        output.seek(0)
        return {"status": status, "output": output.read().decode("utf-8", "replace")}


def compile_one(library: Any, job: dict[str, str]) -> None:
    """Call ReadNetwork, LoadNetwork and Export, then exit at once: unwinding would search for the device again."""
    core, source, network = (ctypes.create_string_buffer(256) for _ in range(3))
    getattr(library, _CORE)(core, _string(job["plugins"]))
    getattr(library, _READ)(source, core, _string(job["model"]), _string(""))
    set_types(library, source, job["inputs"], job["outputs"])
    getattr(library, _LOAD)(network, core, source, _string("MYRIAD"), _empty_map())
    getattr(library, _EXPORT)(network, _string(job["output"]))
    os._exit(0)


def _string(text: str) -> Any:
    """Return a std::string of the old C++ ABI, which is one pointer."""
    result = (ctypes.c_void_p * 1)()
    construct = getattr(ctypes.CDLL("libstdc++.so.6"), _STRING)
    construct(result, ctypes.c_char_p(os.fsencode(text)), ctypes.create_string_buffer(8))
    return result


def _empty_map() -> Any:
    """Return an empty std::map: comparator, header node whose left and right point to itself, and count."""
    words = (ctypes.c_uint64 * 6)()
    words[3] = words[4] = ctypes.addressof(words) + 8
    return words


if __name__ == "__main__":
    main()
