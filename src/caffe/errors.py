"""The base exception for errors that the user can fix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class CaffeError(RuntimeError):
    """An error in the user's files or call; the text gives the location, what was received and what is allowed.

    Command-line programs catch it, print its text after `error: ` and exit with `exit_status`. A bug raises another
    exception and keeps its traceback. The base class is RuntimeError because pycaffe raised that.
    """

    exit_status = 1
    layers: Sequence[str] = ()  # the names of the layers that the error is about, if the net builder found it


_LONGEST = 200  # characters of a word that is compared with others; the time grows with the square of the length


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "; did you mean 'x'?" for the closest of `known`, or "" when none is close."""
    import difflib

    known = list(known)
    if len(word) > _LONGEST:
        return ""
    close = [other for other in known if other.lower() == word.lower()]
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""
