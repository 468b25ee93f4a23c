"""Finds out why a Neural Compute Stick does not work here, explains it, and tells what mends it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from caffe.utils.cache import runtime_env
from ncs.doctor.host import System
from ncs.runtime import usb

OK, NOTE, FAULT = "ok", "note", "FAULT"
RULES_FILE = "/etc/udev/rules.d/97-neural-compute-stick.rules"
RULES = "".join(
    f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{usb.VENDOR}", ATTRS{{idProduct}}=="{product}", MODE="0660", GROUP="plugdev", '
    'TAG+="uaccess", ENV{ID_MM_DEVICE_IGNORE}="1"\n'
    for product in sorted(usb.PRODUCTS)
)
# On a board the doctor is a file of the bundle.
PROGRAM = "python3 doctor.py" if os.path.basename(sys.argv[0]) == "doctor.py" else "ncs doctor"
INSTALL = (
    f"{PROGRAM} --udev | sudo tee {RULES_FILE} && sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb, "
    "then pull the stick out and plug it in again"
)

INTEL_ONLY = (
    "compile the blob on x86-64 (`ncs compile`); here install Intel's OpenVINO 2021.4 runtime for Raspbian, or build "
    "OpenVINO 2022.3 with -DENABLE_INTEL_MYRIAD=ON"
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, what that means, and what mends it ("" when nothing is to be done)."""

    level: str
    what: str
    why: str = ""
    mend: str = ""


def examine(system: System | None = None) -> list[Finding]:
    """Everything the doctor looks at, from the stick on the bus to the compiler."""
    system = system or System()
    findings = []
    for look in LOOKS:
        findings += look(system)
    return findings


def machine(system: System) -> list[Finding]:
    """Processor and Python, and what they rule out."""
    what = "%s, Python %d.%d" % (system.machine or "unknown machine", *system.python)
    if not _intel(system):
        return [Finding(NOTE, what, "Intel published no OpenVINO wheel with the stick's plugin for it", INTEL_ONLY)]
    return [Finding(OK, what)]


def _intel(system: System) -> bool:
    return system.machine in ("x86_64", "amd64")


def bus(system: System) -> list[Finding]:
    """Sticks on the USB bus."""
    sticks = system.sticks()
    found = [Finding(OK, f"{s.kind} at USB {s.place} ({usb.VENDOR}:{s.product})") for s in sticks]
    if any(s.product == "2150" for s in sticks):
        found.append(
            Finding(
                NOTE,
                "a Neural Compute Stick 1 needs the NCSDK, or OpenVINO up to 2020.3",
                "later OpenVINO carries no firmware for it",
                "compile with the NCSDK's mvNCCompile, run with --device MVNC",
            )
        )
    if found:
        return found
    mend = "plug it in (`lsusb -d 03e7:` must list it), in another port, or behind a powered hub"
    if "microsoft" in system.read("/proc/version").lower():
        mend = "Windows must hand it over: usbipd attach --wsl --auto-attach (the stick returns when booted)"
    elif not system.exists("/sys/bus/usb"):
        mend = "this machine shows no USB bus: hand the stick through from the host it is plugged into"
    return [Finding(FAULT, "no Neural Compute Stick on the USB bus (03e7:2150, 2485, f63b)", "", mend)]


def speed(system: System) -> list[Finding]:
    """USB 2 or 3: only a running stick shows what the port can do, before it always says 480."""
    found = []
    for stick in system.sticks():
        if stick.product == "f63b" and stick.speed < 5000:
            what = f"the stick at USB {stick.place} runs at {stick.speed:g} Mbit/s: USB 2"
            found.append(Finding(NOTE, what, "pictures take longer to reach it", "use a USB 3 port (blue) and cable"))
        elif stick.product == "f63b":
            found.append(Finding(OK, f"the stick at USB {stick.place} runs at {stick.speed:g} Mbit/s"))
    return found


def permissions(system: System) -> list[Finding]:
    """Device nodes and the udev rules that open them."""
    folders = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
    rules = [
        folder + "/" + name
        for folder in folders
        for name in system.names(folder)
        if name.endswith(".rules") and usb.VENDOR in system.read(folder + "/" + name)
    ]
    found = []
    if rules:
        found.append(Finding(OK, "udev rules for the stick: " + ", ".join(rules)))
    elif not system.sticks() or all(system.usable(stick.node) for stick in system.sticks()):
        found.append(Finding(NOTE, "no udev rules for the stick", "only root may use it; as root all is well", INSTALL))
    for stick in system.sticks():
        if not system.usable(stick.node):
            mend = INSTALL
            if rules and not system.groups() & {"plugdev", "users"}:
                mend = 'sudo usermod -aG plugdev,users "$USER", then log in again'
            found.append(
                Finding(
                    FAULT,
                    f"{stick.node} may not be read and written by this user",
                    "the library then says NC_ERROR or X_LINK_ERROR",
                    mend,
                )
            )
    return found


def container(system: System) -> list[Finding]:
    """Whether this is a container, and whether the bus reaches into it."""
    control = system.read("/proc/1/cgroup")
    inside = (
        system.exists("/.dockerenv")
        or system.exists("/run/.containerenv")
        or any(word in control for word in ("docker", "kubepods", "containerd", "lxc"))
    )
    if not inside:
        return []
    if system.exists("/dev/bus/usb"):
        return [Finding(OK, "a container; it sees /dev/bus/usb")]
    return [
        Finding(
            FAULT,
            "a container without /dev/bus/usb",
            "the stick changes its address when it is booted, so a single --device is not enough",
            "docker run --network host -v /dev/bus/usb:/dev/bus/usb --device-cgroup-rule='c 189:* rmw' …",
        )
    ]


def libusb(system: System) -> list[Finding]:
    """libusb 1.0, which OpenVINO's plugin needs to run a stick."""
    if system.library("usb-1.0"):
        return [Finding(OK, "libusb-1.0 is installed")]
    if system.bundled_libusb():
        return [Finding(OK, "libusb-1.0 is not installed; the one beside the Myriad compiler serves")]
    return [
        Finding(
            FAULT if system.sticks() else NOTE,
            "libusb-1.0 is not installed",
            "without it OpenVINO's MYRIAD plugin does not load; to compile it is not needed",
            "sudo apt-get install libusb-1.0-0",
        )
    ]


def runtimes(system: System) -> list[Finding]:
    """What can be imported to talk to devices."""
    found = []
    if system.importable("openvino.inference_engine"):
        found.append(Finding(OK, "OpenVINO {}: runs Neural Compute Stick 2".format(system.version("openvino"))))
    elif system.importable("openvino"):
        found.append(Finding(OK, "OpenVINO {}: CPU, GPU and NPU, no sticks".format(system.version("openvino"))))
    if system.importable("mvnc"):
        found.append(Finding(OK, "mvnc (NCSDK): runs Neural Compute Stick 1"))
    if system.importable("onnxruntime"):
        found.append(Finding(OK, "ONNX Runtime {}: runs ONNX on the CPU".format(system.version("onnxruntime"))))
    for name, package in (("numpy", "numpy"), ("cv2", "opencv-python-headless")):
        if not system.importable(name):
            found.append(
                Finding(FAULT, f"{name} cannot be imported", "every runner needs it", "pip install " + package)
            )
    talks = system.importable("openvino.inference_engine") or system.importable("mvnc")
    return found if talks else found + [another_python(system)]


def another_python(system: System) -> Finding:
    """The Python beside this one that has the runtime of sticks, or how to get one."""
    path, version = system.elsewhere()
    if version:
        return Finding(OK, f"OpenVINO {version} under {path}: runs Neural Compute Stick 2")
    home, mend = runtime_env(), INTEL_ONLY
    if _intel(system):
        mend = (
            f"python3.8 -m venv {home} && {home}/bin/pip install openvino==2021.4.2 numpy opencv-python-headless (it is looked for "
            "there; NCS_PYTHON names one elsewhere). pyenv has Python 3.8 where the system has none"
        )
    level = FAULT if system.sticks() else NOTE
    if path:
        return Finding(level, f"{path} cannot run a stick", "it lacks OpenVINO up to 2022.3, numpy or OpenCV", mend)
    return Finding(
        level,
        "nothing here talks to a stick",
        "OpenVINO dropped sticks after 2022.3; the last wheel with the plugin is 2021.4.2, for Python 3.6 to 3.9",
        mend,
    )


def firmware(system: System) -> list[Finding]:
    """The stick's firmware beside the plugin: without it the stick cannot be booted."""
    if not system.importable("openvino.inference_engine"):
        return []
    folder = os.path.join(system.package_folder("openvino"), "libs")
    wanted = ("usb-ma2x8x.mvcmd", "libmyriadPlugin.so")
    missing = [name for name in wanted if not os.path.exists(os.path.join(folder, name))]
    if not missing:
        return [Finding(OK, f"the plugin and the stick's firmware are in {folder}")]
    return [
        Finding(
            FAULT,
            "{} missing in {}".format(", ".join(missing), folder),
            "this OpenVINO was packed without support for sticks",
            "pip install openvino==2021.4.2",
        )
    ]


def lock_file(system: System) -> list[Finding]:
    """OpenVINO's lock, which belongs to whoever used a stick first."""
    path = "/tmp/mvnc.mutex"
    if not system.exists(path) or system.usable(path):
        return []
    why = 'OpenVINO\'s library ends the process with "global mutex initialization failed"'
    return [
        Finding(
            FAULT,
            f"{path} belongs to another user",
            why,
            f"sudo rm {path} (while no program uses a stick; the runtime makes it anew)",
        )
    ]


def compiler(system: System) -> list[Finding]:
    """The Myriad compiler in the cache."""
    if not _intel(system) or not system.importable("ncs.myriad"):  # a bundle compiles nothing
        return []
    from ncs.myriad import toolchain

    found = toolchain.find()
    damaged = toolchain.verify(found) if found else []
    if damaged:
        names = ", ".join(damaged)
        return [Finding(FAULT, f"the Myriad compiler in {found.folder} is not as it was fetched: {names}", "",
                        f"rm -r {found.folder}; ncs toolchain")]  # fmt: skip
    if found:
        return [Finding(OK, f"the Myriad compiler ({found.version}) is in {found.folder}")]
    return [Finding(NOTE, "the Myriad compiler is not in the cache yet", "", "ncs toolchain")]


LOOKS = (machine, bus, speed, permissions, container, libusb, runtimes, firmware, lock_file, compiler)


def text(findings: list[Finding]) -> str:
    """The findings for people, one or a few lines each."""
    rows = []
    for finding in findings:
        rows.append("%-6s %s" % (finding.level, finding.what))
        if finding.why:
            rows.append("       why:  " + finding.why)
        if finding.mend:
            rows.append("       mend: " + finding.mend)
    return "\n".join(rows)
