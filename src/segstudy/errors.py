"""What a user is meant to read: the one exception, and the one interruption."""


class UserError(ValueError):
    """Something in the call, the study file or the data is wrong.

    The message is one line: what is wrong, where, and what to do about it. The command line
    prints it and exits with 2; in Python it is an ordinary ``ValueError``.
    """


class Stopped(KeyboardInterrupt):
    """A study was asked to stop and has: what was trained is saved, and the same call goes on from there.

    Attributes:
        signal: the number of the signal that asked.
    """

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal
