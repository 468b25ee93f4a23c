"""The doctor on machines made of files: each fault is found, explained, and mended by a command."""

import types

import pytest

from ncs.cli import doctor as verb
from ncs.doctor import checks
from ncs.myriad import toolchain


class Patient(checks.System):
    """A healthy x86-64 machine with OpenVINO 2021.4.2 and a running stick, unless told otherwise."""

    def __init__(self, root, **changes):
        super().__init__(str(root))
        self.machine, self.python = "x86_64", (3, 8)
        self.modules = {"openvino", "openvino.inference_engine", "numpy", "cv2"}
        self.nodes_usable, self.has_libusb, self.member_of, self.other = True, True, {"plugdev"}, ("", "")
        self.lent = ""
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
        return self.member_of

    def importable(self, name):
        return name in self.modules or name == "ncs.myriad"

    def bundled_libusb(self):
        return self.lent

    def elsewhere(self):
        return self.other

    def version(self, name):
        return "1.2"

    def library(self, name):
        return "libusb-1.0.so.0" if self.has_libusb else None

    def package_folder(self, name):
        return self.path("/site/" + name)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    monkeypatch.setattr(toolchain, "find", lambda: toolchain.Toolchain("/cache/x"))
    monkeypatch.setattr(toolchain, "verify", lambda found: [])


def faults(system):
    return [f for f in checks.examine(system) if f.level != checks.OK]


def test_a_healthy_machine_has_nothing(tmp_path):
    assert faults(Patient(tmp_path).stick()) == []


def one(system):
    found = faults(system)
    assert len(found) == 1, found
    return found[0]


def test_no_stick(tmp_path):
    found = one(Patient(tmp_path))
    assert found.level == checks.FAULT and "no Neural Compute Stick" in found.what and "lsusb" in found.mend


def test_wsl(tmp_path):
    patient = Patient(tmp_path)
    patient.file("/proc/version", "Linux version 5.15 Microsoft")
    assert "usbipd" in one(patient).mend


def test_a_node_that_may_not_be_opened(tmp_path):
    patient = Patient(tmp_path, nodes_usable=False).stick()
    assert "udevadm" in one(patient).mend and "/dev/bus/usb/001/004" in one(patient).what
    patient.member_of = {"staff"}
    assert "usermod -aG plugdev" in one(patient).mend


def test_no_rules(tmp_path):
    import os

    patient = Patient(tmp_path).stick()
    os.unlink(patient.path("/etc/udev/rules.d/97-x.rules"))
    found = one(patient)
    assert found.level == checks.NOTE and "udev" in found.what


def test_usb_2(tmp_path):
    found = one(Patient(tmp_path).stick(speed="480"))
    assert found.level == checks.NOTE and "480 Mbit/s: USB 2" in found.what
    assert faults(Patient(tmp_path).stick("2485", "480")) == []  # a stick that is not booted always says so


def test_the_first_stick_is_told_apart(tmp_path):
    assert "NCSDK" in one(Patient(tmp_path).stick("2150")).what


def test_containers(tmp_path):
    patient = Patient(tmp_path).stick()
    patient.file("/proc/1/cgroup", "12:cpu:/docker/abc")
    assert "--device-cgroup-rule='c 189:* rmw'" in one(patient).mend
    patient.file("/dev/bus/usb/001/004")
    assert faults(patient) == []


def test_nothing_that_talks_to_a_stick(tmp_path):
    found = one(Patient(tmp_path, modules={"openvino", "numpy", "cv2"}).stick())
    assert found.level == checks.FAULT and "openvino==2021.4.2" in found.mend


def test_another_python_that_talks_to_a_stick(tmp_path):
    patient = Patient(tmp_path, modules={"openvino", "numpy", "cv2"}, other=("/opt/py38", "2021.4.2")).stick()
    assert faults(patient) == []
    assert any("OpenVINO 2021.4.2 under /opt/py38" in f.what for f in checks.examine(patient))
    patient.other = ("/opt/py38", "")
    assert one(patient).what == "/opt/py38 cannot run a stick"
    patient.machine = "armv7l"
    assert not any("openvino==2021.4.2" in f.mend for f in faults(patient))  # there is no such wheel


def test_the_other_python_is_asked(monkeypatch, tmp_path):
    """A program stands in for it, which prints the version of its OpenVINO as 2021.4.2 does."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\ncase $3 in *openvino.inference_engine*) echo 2021.4.2-3976-0943ed67223;; esac\n")
    program.chmod(0o755)
    monkeypatch.setenv("NCS_PYTHON", str(program))
    assert checks.System().elsewhere() == (str(program), "2021.4.2")
    monkeypatch.setenv("NCS_PYTHON", "/none")
    assert checks.System().elsewhere() == ("/none", "")


def test_what_every_runner_needs(tmp_path):
    patient = Patient(tmp_path).stick()
    patient.modules -= {"cv2"}
    assert one(patient).mend == "pip install opencv-python-headless"


def test_openvino_without_firmware(tmp_path):
    import os

    patient = Patient(tmp_path).stick()
    os.unlink(patient.path("/site/openvino/libs/usb-ma2x8x.mvcmd"))
    assert "usb-ma2x8x.mvcmd missing" in one(patient).what


def test_the_lock_of_another_user(tmp_path):
    patient = Patient(tmp_path, nodes_usable=False)
    patient.file("/tmp/mvnc.mutex")
    assert any("mvnc.mutex belongs to another user" in f.what for f in faults(patient))


def test_arm(tmp_path):
    found = one(Patient(tmp_path, machine="aarch64").stick())
    assert found.level == checks.NOTE and "Raspbian" in found.mend


def test_no_libusb(tmp_path):
    found = one(Patient(tmp_path, has_libusb=False).stick())
    assert found.level == checks.FAULT and "apt-get install libusb" in found.mend
    assert faults(Patient(tmp_path, has_libusb=False, lent="/cache/libusb-1.0.so").stick()) == []


def test_text_and_rules(tmp_path):
    text = checks.text(checks.examine(Patient(tmp_path)))
    assert "FAULT  no Neural Compute Stick" in text and "\n       mend: " in text
    assert [line.count("==") for line in checks.RULES.splitlines()] == [3, 3, 3]
    assert all(product in checks.RULES for product in ("2150", "2485", "f63b"))


def test_rules_are_installed_on_demand_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    path = tmp_path / "rules.d" / "97.rules"
    assert verb.run(types.SimpleNamespace(udev=True, install_udev=False, json=False)) == 0
    assert capsys.readouterr().out == checks.RULES and not path.exists()
    assert verb.install(checks.RULES, str(path)) == 0
    assert path.read_text() == checks.RULES


def test_a_damaged_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "verify", lambda found: ["libtbb.so.2"])
    found = one(Patient(tmp_path).stick())
    assert "libtbb.so.2" in found.what and found.mend == "rm -r /cache/x; ncs toolchain"
