"""The one exception a user is meant to read."""


class UserError(ValueError):
    """Something in the call, the study file or the data is wrong.

    The message is one line: what is wrong, where, and what to do about it. The command line
    prints it and exits with 2; in Python it is an ordinary ``ValueError``.
    """
