"""The exception of this package for what a user can put right, and the two a device has of its own."""

from caffe.errors import CaffeError


class NcsError(CaffeError):
    """A fault on the road to the device: a net that cannot be compiled, a file that does not fit …"""


class NoDeviceError(NcsError):
    """There is no such device, or nothing that could talk to it; exit status 3."""

    exit_status = 3


class DeviceLostError(NcsError):
    """A device that was there has stopped answering (a stick pulled out); exit status 4."""

    exit_status = 4
