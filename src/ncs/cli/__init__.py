"""The command `ncs`: one file a verb."""

from caffe.utils import commands


def main(argv=None):
    """`ncs VERB [options]`."""
    return commands.main(__name__, "ncs", argv)
