"""Links with a delay, for kernels without netem: pairs of TAP devices between which this process passes frames on.

A frame that enters either device leaves the other one `seconds` later. The rate of a link is tc's, as for links
without a delay. One process serves all links; at frames of 64 kB it takes about a tenth of a core at 1 Gbit/s.
"""

import collections
import contextlib
import fcntl
import os
import select
import struct
import threading
import time

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # <linux/if_tun.h>
FRAME = 65_535


def _tap(name):
    """Return the descriptor of a new TAP device of the root namespace; the device may be moved to another one."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


class DelayedLinks:
    """Pairs of TAP devices whose frames arrive `seconds` late, in order. Linux, as root."""

    def __init__(self, pairs, seconds):
        """Create the devices of `pairs`, [(name, name)], and start passing frames on."""
        self.seconds, self._other = seconds, {}
        for left, right in pairs:
            ends = _tap(left), _tap(right)
            self._other.update(zip(ends, reversed(ends), strict=True))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        """Stop and remove the devices."""
        self._stopped.set()
        self._thread.join()
        for descriptor in self._other:
            os.close(descriptor)

    def _run(self):
        waiting = collections.deque()  # (time, descriptor, frame); the delay is the same for all, so the order is too
        while not self._stopped.is_set():
            timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.1
            for descriptor in select.select(list(self._other), [], [], timeout)[0]:
                waiting.extend(self._read(descriptor))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, descriptor, frame = waiting.popleft()
                _write(descriptor, frame)

    def _read(self, descriptor):
        """Yield what has arrived at a device, with the time when and the device where it leaves."""
        for _ in range(64):  # then the other devices have their turn
            try:
                frame = os.read(descriptor, FRAME)
            except OSError:  # nothing more, or the device is not up yet
                return
            yield time.monotonic() + self.seconds, self._other[descriptor], frame


def _write(descriptor, frame):
    with contextlib.suppress(OSError):  # lost, as on a wire: the device is not up (yet), or its buffer is full
        os.write(descriptor, frame)
