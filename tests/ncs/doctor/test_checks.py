"""The doctor on simulated machines: each fault is found, explained, and has a fix."""

import types

import pytest

from ncs.doctor import checks, command
from ncs.myriad import toolchain


class FakeSystem(checks.System):
    """A healthy x86-64 machine with OpenVINO 2021.4.2 and a running stick; `changes` override attributes."""

    def __init__(self, root, **changes):
        super().__init__(str(root))
        self.machine, self.python = "x86_64", (3, 8)
        self.modules = {"openvino", "openvino.inference_engine", "numpy", "cv2"}
        self.nodes_usable, self.has_libusb, self.group_names, self.remote = True, True, {"plugdev"}, ("", "")
        self.libusb_copy = ""
        self.__dict__.update(changes)
        self.file("/etc/udev/rules.d/97-x.rules", 'ATTRS{idVendor}=="03e7"')
        self.file("/site/openvino/libs/usb-ma2x8x.mvcmd")
        self.file("/site/openvino/libs/libmyriadPlugin.so")
        self.file("/sys/bus/usb/devices/usb1/idVendor", "1d6b")

    def file(self, path, content=""):
        import os

        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w") as stream:
            stream.write(content)

    def stick(self, product="f63b", speed="5000"):
        for name, value in (
            ("idVendor", "03e7"),
            ("idProduct", product),
            ("speed", speed),
            ("busnum", "1"),
            ("devnum", "4"),
        ):
            self.file("/sys/bus/usb/devices/1-1/" + name, value + "\n")
        return self

    def usable(self, path):
        return self.nodes_usable

    def groups(self):
        return self.group_names

    def importable(self, name):
        return name in self.modules or name == "ncs.myriad"

    def bundled_libusb(self):
        return self.libusb_copy

    def remote_runtime(self):
        return self.remote

    def version(self, name):
        return "1.2"

    def library(self, name):
        return "libusb-1.0.so.0" if self.has_libusb else None

    def package_folder(self, name):
        return self.path("/site/" + name)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    monkeypatch.setattr(toolchain, "find", lambda: toolchain.Toolchain("/cache/x"))
    monkeypatch.setattr(toolchain, "verify", lambda tools: [])


def faults(system):
    return [f for f in checks.examine(system) if f.level != checks.OK]


def test_healthy_machine_has_no_faults(tmp_path):
    assert faults(FakeSystem(tmp_path).stick()) == []


def only_fault(system):
    findings = faults(system)
    assert len(findings) == 1, findings
    return findings[0]


def test_no_stick(tmp_path):
    finding = only_fault(FakeSystem(tmp_path))
    assert finding.level == checks.FAULT and "no Neural Compute Stick" in finding.what and "lsusb" in finding.fix


def test_wsl(tmp_path):
    system = FakeSystem(tmp_path)
    system.file("/proc/version", "Linux version 5.15 Microsoft")
    assert "usbipd" in only_fault(system).fix


def test_device_node_without_permission(tmp_path):
    system = FakeSystem(tmp_path, nodes_usable=False).stick()
    assert "udevadm" in only_fault(system).fix and "/dev/bus/usb/001/004" in only_fault(system).what
    system.group_names = {"staff"}
    assert "usermod -aG plugdev" in only_fault(system).fix


def test_no_udev_rules(tmp_path):
    import os

    system = FakeSystem(tmp_path).stick()
    os.unlink(system.path("/etc/udev/rules.d/97-x.rules"))
    finding = only_fault(system)
    assert finding.level == checks.NOTE and "udev" in finding.what


def test_usb_2(tmp_path):
    finding = only_fault(FakeSystem(tmp_path).stick(speed="480"))
    assert finding.level == checks.NOTE and "480 Mbit/s: USB 2" in finding.what
    assert faults(FakeSystem(tmp_path).stick("2485", "480")) == []  # a stick that is not booted always reports 480


def test_stick_1_needs_the_ncsdk(tmp_path):
    assert "NCSDK" in only_fault(FakeSystem(tmp_path).stick("2150")).what


def test_containers(tmp_path):
    system = FakeSystem(tmp_path).stick()
    system.file("/proc/1/cgroup", "12:cpu:/docker/abc")
    assert "--device-cgroup-rule='c 189:* rmw'" in only_fault(system).fix
    system.file("/dev/bus/usb/001/004")
    assert faults(system) == []


def test_no_runtime_for_sticks(tmp_path):
    finding = only_fault(FakeSystem(tmp_path, modules={"openvino", "numpy", "cv2"}).stick())
    assert finding.level == checks.FAULT and "openvino==2021.4.2" in finding.fix


def test_another_python_with_a_runtime_for_sticks(tmp_path):
    system = FakeSystem(tmp_path, modules={"openvino", "numpy", "cv2"}, remote=("/opt/py38", "2021.4.2")).stick()
    assert faults(system) == []
    assert any("OpenVINO 2021.4.2 under /opt/py38" in f.what for f in checks.examine(system))
    system.remote = ("/opt/py38", "")
    assert only_fault(system).what == "/opt/py38 cannot run a stick"
    system.machine = "armv7l"
    assert not any("openvino==2021.4.2" in f.fix for f in faults(system))  # there is no such wheel


def test_version_of_the_other_pythons_openvino(monkeypatch, tmp_path):
    """A fake Python prints the version of its OpenVINO as 2021.4.2 does."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\ncase $3 in *openvino.inference_engine*) echo 2021.4.2-3976-0943ed67223;; esac\n")
    program.chmod(0o755)
    monkeypatch.setenv("NCS_PYTHON", str(program))
    assert checks.System().remote_runtime() == (str(program), "2021.4.2")
    monkeypatch.setenv("NCS_PYTHON", "/none")
    assert checks.System().remote_runtime() == ("/none", "")


def test_missing_dependency_of_all_runners(tmp_path):
    system = FakeSystem(tmp_path).stick()
    system.modules -= {"cv2"}
    assert only_fault(system).fix == "pip install opencv-python-headless"


def test_openvino_without_firmware(tmp_path):
    import os

    system = FakeSystem(tmp_path).stick()
    os.unlink(system.path("/site/openvino/libs/usb-ma2x8x.mvcmd"))
    assert "usb-ma2x8x.mvcmd missing" in only_fault(system).what


def test_lock_file_of_another_user(tmp_path):
    system = FakeSystem(tmp_path, nodes_usable=False)
    system.file("/tmp/mvnc.mutex")
    assert any("mvnc.mutex belongs to another user" in f.what for f in faults(system))


def test_arm(tmp_path):
    finding = only_fault(FakeSystem(tmp_path, machine="aarch64").stick())
    assert finding.level == checks.NOTE and "Raspbian" in finding.fix


def test_no_libusb(tmp_path):
    finding = only_fault(FakeSystem(tmp_path, has_libusb=False).stick())
    assert finding.level == checks.FAULT and "apt-get install libusb" in finding.fix
    assert faults(FakeSystem(tmp_path, has_libusb=False, libusb_copy="/cache/libusb-1.0.so").stick()) == []


def test_text_and_rules(tmp_path):
    text = checks.text(checks.examine(FakeSystem(tmp_path)))
    assert "FAULT  no Neural Compute Stick" in text and "\n       fix:  " in text
    assert [line.count("==") for line in checks.RULES.splitlines()] == [3, 3, 3]
    assert all(product in checks.RULES for product in ("2150", "2485", "f63b"))


def test_rules_are_installed_on_request_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    path = tmp_path / "rules.d" / "97.rules"
    assert command.run(types.SimpleNamespace(udev=True, install_udev=False, json=False)) == 0
    assert capsys.readouterr().out == checks.RULES and not path.exists()
    assert command.install(checks.RULES, str(path)) == 0
    assert path.read_text() == checks.RULES


def test_damaged_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "verify", lambda tools: ["libtbb.so.2"])
    finding = only_fault(FakeSystem(tmp_path).stick())
    assert "libtbb.so.2" in finding.what and finding.fix == "rm -r /cache/x; ncs toolchain"


@pytest.mark.parametrize(
    "sticks, megabytes, level", [(1, "2", None), (2, "16", "ok"), (4, "16", "note"), (8, "0", "ok"), (4, "", None)]
)
def test_memory_for_usb_transfers(tmp_path, sticks, megabytes, level):
    """About 5 MB per stick; 0 is no limit."""
    system = FakeSystem(tmp_path)
    for number in range(1, sticks + 1):
        for name, value in (("idVendor", "03e7"), ("idProduct", "f63b"), ("speed", "5000"), ("busnum", "1")):
            system.file(f"/sys/bus/usb/devices/1-{number}/{name}", value)
        system.file(f"/sys/bus/usb/devices/1-{number}/devnum", str(number))
    if megabytes:
        system.file("/sys/module/usbcore/parameters/usbfs_memory_mb", megabytes + "\n")
    findings = checks.usb_memory(system)
    assert [finding.level for finding in findings] == ([level] if level else [])
    if level == "note":
        assert "4 sticks need about 20 MB" in findings[0].why and "usbfs_memory_mb=20" in findings[0].fix
