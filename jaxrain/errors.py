"""The one kind of error that a user can cause and mend."""


class InputError(Exception):
    """A mistake in what the user gave: a file, a value, a combination.

    The message is one line that names the value, what was expected and the remedy. Commands print
    it without a traceback and end with exit status 2.
    """
