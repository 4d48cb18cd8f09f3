"""What a user is meant to read: the one exception, and the one interruption."""


def printable(text: str) -> str:
    """Text for a terminal: what would move the cursor, change colours or break the line is spelled out.

    Names come from data, and a file may be called anything.

    >>> printable("le" + chr(27) + "[31msion") == "le" + chr(92) + "x1b[31msion"
    True
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UserError(ValueError):
    """Something in the call, the study file or the data is wrong.

    The message is one line: what is wrong, where, and what to do about it. The command line
    prints it and exits with 2; in Python it is an ordinary ``ValueError``.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class Stopped(KeyboardInterrupt):
    """A study was asked to stop and has: what was trained is saved, and the same call goes on from there.

    Attributes:
        signal: the number of the signal that asked.
    """

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal
