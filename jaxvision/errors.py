"""The one exception for bad input: its message is all that a user sees."""


class InputError(Exception):
    """Something a user gave (a flag, a file, a directory) is not what it has to be.

    The message names the thing, what is wrong with it and what was expected. `launch` prints it without a
    traceback and exits with code 2; any other exception is a bug of ours and keeps its traceback.
    """
