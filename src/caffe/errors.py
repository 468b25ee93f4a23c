"""The one exception of this package for what a user can put right."""


class CaffeError(RuntimeError):
    """A fault in the user's files or call: where it is, what was received, what is allowed, what to do.

    Command-line programs catch it once, print its text after `error: ` and exit with `exit_status`.
    A bug raises anything else and keeps its traceback. pycaffe raised RuntimeError, hence the base.
    """

    exit_status = 1


def did_you_mean(word, known, cutoff=0.6):
    """Return "; did you mean 'x'?" for the closest of `known`, or "" when none is close."""
    import difflib

    known = list(known)
    close = [other for other in known if other.lower() == word.lower()]
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""
