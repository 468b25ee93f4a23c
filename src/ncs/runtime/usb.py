"""Lists the Neural Compute Sticks on the USB bus from Linux' sysfs; needs no driver and no library."""

from __future__ import annotations

import os
from dataclasses import dataclass

VENDOR = "03e7"
PRODUCTS = {
    "2150": "Neural Compute Stick 1 (Myriad 2)",
    "2485": "Neural Compute Stick 2 (Myriad X)",
    "f63b": "a Neural Compute Stick that is running",
}
SYSFS = "/sys/bus/usb/devices"


@dataclass(frozen=True)
class Stick:
    """A stick on the USB bus: port (1-2), product id, speed in Mbit/s, and device node under /dev."""

    port: str
    product: str
    speed: float
    node: str

    @property
    def kind(self) -> str:
        """The name of the product."""
        return PRODUCTS[self.product]


def sticks(root: str = SYSFS) -> list[Stick]:
    """Return all plugged-in sticks sorted by port; empty if there is no USB bus."""
    try:
        ports = sorted(os.listdir(root))
    except OSError:
        return []
    found = []
    for port in ports:
        folder = os.path.join(root, port)
        product = _read(folder, "idProduct")
        if _read(folder, "idVendor") == VENDOR and product in PRODUCTS:
            bus, number = _number(_read(folder, "busnum")), _number(_read(folder, "devnum"))
            node = f"/dev/bus/usb/{bus:03d}/{number:03d}"
            found.append(Stick(port, product, _number(_read(folder, "speed")), node))
    return found


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="ascii", errors="replace") as stream:
            return stream.read().strip().lower()
    except OSError:
        return ""


def _number(text: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        return 0
