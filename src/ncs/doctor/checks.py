"""Diagnoses why a Neural Compute Stick does not work on this machine and suggests fixes."""

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
    f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{usb.VENDOR}", ATTRS{{idProduct}}=="{product}", MODE="0660", '
    'GROUP="plugdev", TAG+="uaccess", ENV{ID_MM_DEVICE_IGNORE}="1"\n'
    for product in sorted(usb.PRODUCTS)
)
# In a bundle the command is a script of its own.
PROGRAM = "python3 doctor.py" if os.path.basename(sys.argv[0]) == "doctor.py" else "ncs doctor"
INSTALL = (
    f"{PROGRAM} --udev | sudo tee {RULES_FILE} && sudo udevadm control --reload && "
    "sudo udevadm trigger --subsystem-match=usb, then unplug the stick and plug it in again"
)

INTEL_ONLY = (
    "compile the blob on x86-64 (`ncs compile`); on this machine install Intel's OpenVINO 2021.4 runtime for Raspbian, "
    "or build OpenVINO 2022.3 with -DENABLE_INTEL_MYRIAD=ON"
)

USB_MEMORY = "/sys/module/usbcore/parameters/usbfs_memory_mb"
MEGABYTES_PER_STICK = 5  # as reported for several sticks on one hub


@dataclass(frozen=True)
class Finding:
    """The result of a check: level, observation, explanation, and suggested fix ("" if nothing needs fixing)."""

    level: str
    what: str
    why: str = ""
    fix: str = ""


def examine(system: System | None = None) -> list[Finding]:
    """Run all checks, from the stick on the bus to the compiler."""
    system = system or System()
    findings = []
    for check in CHECKS:
        findings += check(system)
    return findings


def machine(system: System) -> list[Finding]:
    """Check the processor and the Python version."""
    what = "{}, Python {}.{}".format(system.machine or "unknown machine", *system.python)
    if not _intel(system):
        return [Finding(NOTE, what, "Intel published no OpenVINO wheel with the MYRIAD plugin for it", INTEL_ONLY)]
    return [Finding(OK, what)]


def _intel(system: System) -> bool:
    return system.machine in ("x86_64", "amd64")


def bus(system: System) -> list[Finding]:
    """Check for sticks on the USB bus."""
    sticks = system.sticks()
    findings = [Finding(OK, f"{s.kind} at USB {s.port} ({usb.VENDOR}:{s.product})") for s in sticks]
    if any(s.product == "2150" for s in sticks):
        findings.append(
            Finding(
                NOTE,
                "a Neural Compute Stick 1 needs the NCSDK, or OpenVINO up to 2020.3",
                "later OpenVINO versions include no firmware for it",
                "compile with the NCSDK's mvNCCompile, run with --device MVNC",
            )
        )
    if findings:
        return findings
    fix = "plug it in (`lsusb -d 03e7:` must list it), try another port or a powered hub"
    if "microsoft" in system.read("/proc/version").lower():
        fix = "attach it from Windows: usbipd attach --wsl --auto-attach (the stick reconnects when it boots)"
    elif not system.exists("/sys/bus/usb"):
        fix = "this machine has no USB bus: pass the stick through from the host it is plugged into"
    return [Finding(FAULT, "no Neural Compute Stick on the USB bus (03e7:2150, 2485, f63b)", "", fix)]


def speed(system: System) -> list[Finding]:
    """Check for USB 2 or 3; only a booted stick reports the port's speed, before that it is always 480 Mbit/s."""
    findings = []
    for stick in system.sticks():
        if stick.product == "f63b" and stick.speed < 5000:
            what = f"the stick at USB {stick.port} runs at {stick.speed:g} Mbit/s: USB 2"
            findings.append(
                Finding(NOTE, what, "transfers to the stick are slower", "use a USB 3 port (blue) and cable")
            )
        elif stick.product == "f63b":
            findings.append(Finding(OK, f"the stick at USB {stick.port} runs at {stick.speed:g} Mbit/s"))
    return findings


def usb_memory(system: System) -> list[Finding]:
    """Check the kernel's memory for USB transfers, which all sticks share."""
    sticks, text = len(system.sticks()), system.read(USB_MEMORY).strip()
    if sticks < 2 or not text.isdigit():
        return []
    megabytes, needed = int(text), MEGABYTES_PER_STICK * sticks
    what = f"the kernel has {megabytes} MB for USB transfers ({USB_MEMORY})"
    if megabytes == 0 or megabytes >= needed:  # 0: no limit
        return [Finding(OK, what)]
    why = f"{sticks} sticks need about {needed} MB; with less, the last ones do not open or transfers fail"
    fix = (
        f"echo {needed} | sudo tee {USB_MEMORY}; for every boot add usbcore.usbfs_memory_mb={needed} to the kernel's "
        "command line"
    )
    return [Finding(NOTE, what, why, fix)]


def permissions(system: System) -> list[Finding]:
    """Check the permissions of the device nodes and the udev rules."""
    folders = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
    rules = [
        folder + "/" + name
        for folder in folders
        for name in system.names(folder)
        if name.endswith(".rules") and usb.VENDOR in system.read(folder + "/" + name)
    ]
    findings = []
    if rules:
        findings.append(Finding(OK, "udev rules for the stick: " + ", ".join(rules)))
    elif not system.sticks() or all(system.usable(stick.node) for stick in system.sticks()):
        findings.append(Finding(NOTE, "no udev rules for the stick", "without them only root can use it", INSTALL))
    for stick in system.sticks():
        if not system.usable(stick.node):
            fix = INSTALL
            if rules and not system.groups() & {"plugdev", "users"}:
                fix = 'sudo usermod -aG plugdev,users "$USER", then log in again'
            findings.append(
                Finding(
                    FAULT,
                    f"this user has no read and write access to {stick.node}",
                    "the library then reports NC_ERROR or X_LINK_ERROR",
                    fix,
                )
            )
    return findings


def container(system: System) -> list[Finding]:
    """Check whether this is a container, and whether it has access to the USB bus."""
    control = system.read("/proc/1/cgroup")
    inside = (
        system.exists("/.dockerenv")
        or system.exists("/run/.containerenv")
        or any(name in control for name in ("docker", "kubepods", "containerd", "lxc"))
    )
    if not inside:
        return []
    if system.exists("/dev/bus/usb"):
        return [Finding(OK, "a container with access to /dev/bus/usb")]
    return [
        Finding(
            FAULT,
            "a container without /dev/bus/usb",
            "the stick changes its address when it boots, so a single --device is not enough",
            "docker run --network host -v /dev/bus/usb:/dev/bus/usb --device-cgroup-rule='c 189:* rmw' …",
        )
    ]


def libusb(system: System) -> list[Finding]:
    """Check for libusb 1.0, which OpenVINO's MYRIAD plugin needs."""
    if system.library("usb-1.0"):
        return [Finding(OK, "libusb-1.0 is installed")]
    if system.bundled_libusb():
        return [Finding(OK, "libusb-1.0 is not installed; the copy of the Myriad compiler is used")]
    return [
        Finding(
            FAULT if system.sticks() else NOTE,
            "libusb-1.0 is not installed",
            "OpenVINO's MYRIAD plugin does not load without it (compiling does not need it)",
            "sudo apt-get install libusb-1.0-0",
        )
    ]


def runtimes(system: System) -> list[Finding]:
    """Check which runtimes can be imported."""
    findings = []
    if system.importable("openvino.inference_engine"):
        findings.append(Finding(OK, "OpenVINO {}: runs Neural Compute Stick 2".format(system.version("openvino"))))
    elif system.importable("openvino"):
        findings.append(Finding(OK, "OpenVINO {}: CPU, GPU and NPU, no sticks".format(system.version("openvino"))))
    if system.importable("mvnc"):
        findings.append(Finding(OK, "mvnc (NCSDK): runs Neural Compute Stick 1"))
    if system.importable("onnxruntime"):
        findings.append(Finding(OK, "ONNX Runtime {}: runs ONNX on the CPU".format(system.version("onnxruntime"))))
    for name, package in (("numpy", "numpy"), ("cv2", "opencv-python-headless")):
        if not system.importable(name):
            findings.append(
                Finding(FAULT, f"{name} cannot be imported", "all runners need it", "pip install " + package)
            )
    supports_sticks = system.importable("openvino.inference_engine") or system.importable("mvnc")
    return findings if supports_sticks else findings + [another_python(system)]


def another_python(system: System) -> Finding:
    """Check for another Python with a runtime for sticks."""
    path, version = system.remote_runtime()
    if version:
        return Finding(OK, f"OpenVINO {version} under {path}: runs Neural Compute Stick 2")
    env, fix = runtime_env(), INTEL_ONLY
    if _intel(system):
        fix = (
            f"python3.8 -m venv {env} && {env}/bin/pip install openvino==2021.4.2 numpy opencv-python-headless (this "
            "is the default environment; set NCS_PYTHON to use another). pyenv can install Python 3.8 if the "
            "system has none"
        )
    level = FAULT if system.sticks() else NOTE
    if path:
        return Finding(level, f"{path} cannot run a stick", "OpenVINO up to 2022.3, numpy or OpenCV is missing", fix)
    return Finding(
        level,
        "no installed runtime supports sticks",
        "OpenVINO supports sticks up to 2022.3; the last wheel with the plugin is 2021.4.2, for Python 3.6 to 3.9",
        fix,
    )


def firmware(system: System) -> list[Finding]:
    """Check for the stick's firmware next to the plugin; the stick cannot boot without it."""
    if not system.importable("openvino.inference_engine"):
        return []
    folder = os.path.join(system.package_folder("openvino"), "libs")
    required = ("usb-ma2x8x.mvcmd", "libmyriadPlugin.so")
    missing = [name for name in required if not os.path.exists(os.path.join(folder, name))]
    if not missing:
        return [Finding(OK, f"the plugin and the stick's firmware are in {folder}")]
    return [
        Finding(
            FAULT,
            "{} missing in {}".format(", ".join(missing), folder),
            "this build of OpenVINO does not support sticks",
            "pip install openvino==2021.4.2",
        )
    ]


def lock_file(system: System) -> list[Finding]:
    """Check the permissions of OpenVINO's lock file, which belongs to the first user of a stick."""
    path = "/tmp/mvnc.mutex"
    if not system.exists(path) or system.usable(path):
        return []
    why = 'OpenVINO then aborts with "global mutex initialization failed"'
    fix = f"sudo rm {path} (while no program uses a stick; the runtime creates a new file)"
    return [Finding(FAULT, f"{path} belongs to another user", why, fix)]


def compiler(system: System) -> list[Finding]:
    """Check for the Myriad compiler in the cache."""
    if not _intel(system) or not system.importable("ncs.myriad"):
        return []
    try:
        from ncs.myriad import toolchain
    except ImportError:
        return []  # a bundle reads blobs, it compiles none

    tools = toolchain.find()
    if tools is None:
        return [Finding(NOTE, "the Myriad compiler is not in the cache", "", "ncs toolchain")]
    damaged = toolchain.verify(tools)
    if damaged:
        files = ", ".join(damaged)
        fix = f"rm -r {tools.folder}; ncs toolchain"
        return [Finding(FAULT, f"the Myriad compiler in {tools.folder} is damaged: {files}", "", fix)]
    return [Finding(OK, f"the Myriad compiler ({tools.version}) is in {tools.folder}")]


CHECKS = (machine, bus, speed, usb_memory, permissions, container, libusb, runtimes, firmware, lock_file, compiler)


def text(findings: list[Finding]) -> str:
    """Format the findings, up to three lines each."""
    rows = []
    for finding in findings:
        rows.append(f"{finding.level:<6} {finding.what}")
        if finding.why:
            rows.append("       why:  " + finding.why)
        if finding.fix:
            rows.append("       fix:  " + finding.fix)
    return "\n".join(rows)
