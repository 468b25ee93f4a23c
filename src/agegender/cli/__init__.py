"""The command `agegender`: one file a verb."""

from caffe.utils import commands


def main(argv=None):
    """`agegender VERB [options]`."""
    return commands.main(__name__, "agegender", argv)
