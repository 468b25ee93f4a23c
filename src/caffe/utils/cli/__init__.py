"""The command line: dispatch, completion, verbosity, progress and text that is safe to print."""
