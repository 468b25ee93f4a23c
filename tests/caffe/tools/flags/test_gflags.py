"""gflags' command-line syntax, as its documentation defines it."""

import argparse

import pytest

from caffe.errors import CaffeError
from caffe.tools.flags import gflags


def parse(*words):
    parser = argparse.ArgumentParser()
    gflags.boolean(parser, "gray")
    gflags.boolean(parser, "shuffle", default=True)
    parser.add_argument("--resize_width", type=int, default=0)
    parser.add_argument("--weights", default="")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("-o", "--output", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("words", nargs="*")
    return parser.parse_args(gflags.for_argparse(words, parser))


@pytest.mark.parametrize(
    "words",
    [
        ["-resize_width", "3"],
        ["-resize_width=3"],
        ["--resize_width", "3"],
        ["--resize_width=3"],
        ["--resize-width=3"],
        ["--resize_width=9", "-resize_width=3"],
    ],
)
def test_all_spellings_of_a_value(words):
    args = parse(*words, "a", "b")
    assert args.resize_width == 3 and args.words == ["a", "b"]


@pytest.mark.parametrize(
    "words, gray, shuffle",
    [
        ([], False, True),
        (["-gray"], True, True),
        (["--gray", "--noshuffle"], True, False),
        (["-gray=true", "-noshuffle"], True, False),
        (["--gray=0", "--shuffle=F"], False, False),
        (["--gray", "--nogray"], False, True),
        (["--gray", "--gray=false"], False, True),
    ],
)
def test_booleans(words, gray, shuffle):
    args = parse(*words)
    assert (args.gray, args.shuffle) == (gray, shuffle)


def test_boolean_takes_no_separate_value():
    args = parse("--gray", "true", "list.txt")
    assert args.gray and args.words == ["true", "list.txt"]


def test_negative_numbers_hyphens_and_paths_are_values():
    args = parse("--resize_width", "-3", "-", "--weights=a=b,c", "--batch_size", "4", "-o", "out", "--verbose")
    assert (args.resize_width, args.words, args.weights, args.batch_size) == (-3, ["-"], "a=b,c", 4)
    assert args.output == "out" and args.verbose


def test_everything_after_two_hyphens_is_positional():
    assert parse("--gray", "--", "-odd name", "--gray").words == ["-odd name", "--gray"]


def test_all_unknown_flags_are_reported_together():
    with pytest.raises(CaffeError, match="'resize_widht'; did you mean 'resize_width'.*'nope'"):
        parse("--resize_widht=3", "-nope")


@pytest.mark.parametrize("words, match", [(["--weights"], "missing its value"), (["--gray=maybe"], "true or false")])
def test_errors(words, match):
    with pytest.raises(CaffeError, match=match):
        parse(*words)


def test_unknown_command_is_left_to_the_dispatcher():
    assert gflags.normalise(["no_such_command", "-a=b"]) == ["no_such_command", "-a=b"]
