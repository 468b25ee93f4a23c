"""The process that drives Intel's native compiler through ctypes; ncs.myriad.compiler starts it.

Reads one JSON object {"folder", "plugin", "jobs": [{"model", "output", "plugins", "inputs", "outputs"}]} from standard input.
Loads the libraries once and forks for each job, since a C++ exception that reaches ctypes ends its process
with the message on standard error. Writes one JSON line a job: {"status", "said"}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import tempfile

from ncs.myriad.io_precision import set_types
from ncs.myriad.skip_device_search import hide_devices

_LIBRARIES = (
    "libusb-1.0.so",
    "libtbb.so.2",
    "libtbbmalloc.so.2",
    "libngraph.so",
    "libinference_engine_transformations.so",
    "libinference_engine.so",
)
_STRING = "_ZNSsC1EPKcRKSaIcE"  # std::string(char const*, allocator const&) of the old ABI: one pointer wide
_CORE = "_ZN15InferenceEngine4CoreC1ERKSs"
_READ = "_ZNK15InferenceEngine4Core11ReadNetworkERKSsS2_"
_LOAD = "_ZN15InferenceEngine4Core11LoadNetworkERKNS_10CNNNetworkERKSsRKSt3mapISsSsSt4lessISsESaISt4pairIS4_SsEEE"
_EXPORT = "_ZN15InferenceEngine17ExecutableNetwork6ExportERKSs"


def main():
    """Do every job of standard input; the exit status is 0 when all were tried."""
    task = json.load(sys.stdin)
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the libraries may print; results have a road of their own
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = load(task["folder"], task["plugin"])
    for job in task["jobs"]:
        print(json.dumps(_in_a_fork(library, job)), file=results, flush=True)


def load(folder, plugin):
    """Load the compiler's libraries in the order they need each other; returns the inference engine's."""
    for name in _LIBRARIES:
        library = ctypes.CDLL(os.path.join(folder, name), ctypes.RTLD_GLOBAL)
    path = os.path.join(folder, plugin)
    ctypes.CDLL(path)
    hide_devices(path)
    return library


def _in_a_fork(library, job):
    with tempfile.TemporaryFile() as said:
        process = os.fork()
        if process == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            compile_one(library, job)
        status = os.waitpid(process, 0)[1]
        said.seek(0)
        return {"status": status, "said": said.read().decode("utf-8", "replace")}


def compile_one(library, job):
    """ReadNetwork, LoadNetwork and Export, then leave at once: unwinding would look for the device again."""
    core, source, network = (ctypes.create_string_buffer(256) for _ in range(3))
    getattr(library, _CORE)(core, _string(job["plugins"]))
    getattr(library, _READ)(source, core, _string(job["model"]), _string(""))
    set_types(library, source, job["inputs"], job["outputs"])
    getattr(library, _LOAD)(network, core, source, _string("MYRIAD"), _empty_map())
    getattr(library, _EXPORT)(network, _string(job["output"]))
    os._exit(0)


def _string(text):
    """A std::string of the old C++ ABI, which is one pointer."""
    result = (ctypes.c_void_p * 1)()
    construct = getattr(ctypes.CDLL("libstdc++.so.6"), _STRING)
    construct(result, ctypes.c_char_p(os.fsencode(text)), ctypes.create_string_buffer(8))
    return result


def _empty_map():
    """An empty std::map: comparator, then a header node whose left and right are itself, then the count."""
    words = (ctypes.c_uint64 * 6)()
    words[3] = words[4] = ctypes.addressof(words) + 8
    return words


if __name__ == "__main__":
    main()
