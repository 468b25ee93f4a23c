"""The command `agegender`: one file a verb."""

from caffe import cli


def main(argv=None):
    """`agegender VERB [options]`."""
    return cli.main(__name__, "agegender", argv)
