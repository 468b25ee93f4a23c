"""Neural Compute Sticks on the USB bus, as Linux lists them; no driver and no library needed."""

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
    """A stick on the bus: its place (1-2), product id, speed in Mbit/s, and node under /dev."""

    place: str
    product: str
    speed: float
    node: str

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return PRODUCTS[self.product]


def sticks(root: str = SYSFS) -> list[Stick]:
    """Every stick that is plugged in, by its place; empty where there is no USB bus to look at."""
    try:
        places = sorted(os.listdir(root))
    except OSError:
        return []
    found = []
    for place in places:
        folder = os.path.join(root, place)
        product = _read(folder, "idProduct")
        if _read(folder, "idVendor") == VENDOR and product in PRODUCTS:
            bus, number = _number(_read(folder, "busnum")), _number(_read(folder, "devnum"))
            node = "/dev/bus/usb/%03d/%03d" % (bus, number)
            found.append(Stick(place, product, _number(_read(folder, "speed")), node))
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
