"""The command `caffe`: one file a verb; Caffe's tools run under their own names too."""

from caffe.utils import commands

WORD_BREAK = "_"


def main(argv=None):
    """`caffe train|test|time|... [flags]`."""
    return commands.main(__name__, "caffe", argv)


def named(argv=None):
    """A tool started under its own name (`convert_imageset ROOT/ LIST DB`)."""
    return commands.named(__name__, argv)


def normalise(argv):
    """Flags as gflags take them (`-flag v`, `-flag=v`, `--noflag`), as argparse reads them."""
    from caffe.tools import gflags

    return gflags.normalise(argv)
