"""The exceptions of this package: errors that a user can fix."""

from caffe.errors import CaffeError


class NcsError(CaffeError):
    """An error in the pipeline to the device: a net that cannot be compiled, a file that does not match."""


class NoDeviceError(NcsError):
    """The device does not exist or no installed runtime supports it; exit status 3."""

    exit_status = 3


class DeviceLostError(NcsError):
    """A device stopped responding, e.g. because the stick was unplugged; exit status 4."""

    exit_status = 4
