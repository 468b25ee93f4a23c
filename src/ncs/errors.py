"""The one exception of this package for what a user can put right."""

from caffe.errors import CaffeError


class NcsError(CaffeError):
    """A fault on the road to the device: a net that cannot be compiled, a device that is not there …"""
