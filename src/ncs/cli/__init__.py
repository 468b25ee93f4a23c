"""The command `ncs`: one file a verb."""

from caffe import cli


def main(argv=None):
    """`ncs VERB [options]`."""
    return cli.main(__name__, "ncs", argv)
