"""Prevents the MYRIAD plugin from searching for a stick while it compiles, which saves 5 s.

The plugin searches for devices before every compilation: a busy loop of 5 s that only the clock ends, with a lock file
that belongs to its first user. This module replaces a few imported functions of the plugin in this process only,
through the plugin's import table: the USB bus is empty, the clock advances by a minute per call, and the lock file is
private. See docs/adr/.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from typing import Any

_JUMP_SLOT = 7  # R_X86_64_JUMP_SLOT of the x86-64 psABI
_LOCK_FILE = b"/tmp/mvnc.mutex"
_callbacks: list = []  # keep the callbacks alive


def hide_devices(plugin: str) -> bool:
    """Redirect the imports of the loaded `plugin`; return False, and leave the search in place, if one is not found."""
    with open(plugin, "rb") as stream:
        slots = import_slots(stream.read())
    start = _load_address(plugin)
    replacements = _replacements()
    if start is None or not all(name in slots for name in replacements):
        return False
    return all([_redirect(start + slots[name], function) for name, function in replacements.items()])


def import_slots(image: bytes) -> dict[bytes, int]:
    """Return function name -> address of its import table slot, for a 64-bit little-endian ELF library."""
    slots = {}
    sections = _sections(image)
    for section_type, link, offset, size in sections:
        if section_type != 4 or link >= len(sections) or sections[link][0] != 11:  # SHT_RELA over SHT_DYNSYM
            continue
        symbols, strings = sections[link], sections[sections[link][1]]
        for position in range(offset, offset + size, 24):
            slot, info = struct.unpack_from("<QQ", image, position)
            if info & 0xFFFFFFFF == _JUMP_SLOT:
                (name,) = struct.unpack_from("<I", image, symbols[2] + 24 * (info >> 32))
                begin = strings[2] + name
                slots[image[begin : image.index(b"\0", begin)]] = slot
    return slots


def _sections(image: bytes) -> list[tuple[int, int, int, int]]:
    """Return (type, link, file offset, size) of every section."""
    if image[:6] != b"\x7fELF\x02\x01":
        return []
    (table,) = struct.unpack_from("<Q", image, 40)
    width, count = struct.unpack_from("<HH", image, 58)
    rows = [struct.unpack_from("<IIQQQQI", image, table + i * width) for i in range(count)]
    return [(row[1], row[6], row[4], row[5]) for row in rows]


def _load_address(library: str) -> int | None:
    library = os.path.realpath(library)
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            fields = line.rstrip("\n").split(None, 5)
            if len(fields) == 6 and fields[5] == library and int(fields[2], 16) == 0:
                return int(fields[0].split("-")[0], 16)
    return None


def _redirect(address: int, function: Any) -> bool:
    """Write the function's address into the slot; mprotect is needed because the page is read-only (RELRO)."""
    libc = ctypes.CDLL(None)
    size = os.sysconf("SC_PAGE_SIZE")
    page = ctypes.c_void_p(address - address % size)
    if libc.mprotect(page, ctypes.c_size_t(size), 3):
        return False
    ctypes.c_void_p.from_address(address).value = ctypes.cast(function, ctypes.c_void_p).value
    libc.mprotect(page, ctypes.c_size_t(size), 1)
    return True


def _replacements() -> dict:
    empty = ctypes.c_void_p(None)
    calls = [0]

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int64))
    def clock_gettime(which, result):
        calls[0] += 1
        now = time.clock_gettime_ns(which) + calls[0] * 60 * 10**9
        result[0], result[1] = divmod(now, 10**9)
        return 0

    @ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
    def libusb_get_device_list(context, result):
        result[0] = ctypes.addressof(empty)
        return 0

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
    def libusb_free_device_list(devices, unreference):
        return None

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint)
    def open_(path, flags, mode):
        try:
            return os.memfd_create("mvnc") if path == _LOCK_FILE else os.open(path, flags, mode & 0o7777)
        except OSError as error:
            ctypes.set_errno(error.errno or 0)
            return -1

    _callbacks.extend([empty, clock_gettime, libusb_get_device_list, libusb_free_device_list, open_])
    return {
        b"clock_gettime": clock_gettime,
        b"libusb_get_device_list": libusb_get_device_list,
        b"libusb_free_device_list": libusb_free_device_list,
        b"open": open_,
    }
