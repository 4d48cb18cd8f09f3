"""The one exception and the one interruption whose messages are meant for the user."""


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control characters, line ends included, are escaped.

    Names come from data, and a file may have any name.

    >>> printable("le" + chr(27) + "[31msion") == "le" + chr(92) + "x1b[31msion"
    True
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: object, max_length: int | None = None) -> str:
    """A text, or the message of an exception, on one line.

    >>> one_line("wrong:" + chr(10) + "  all of it", 9)
    'wrong: al'
    """
    return " ".join(str(text).split())[:max_length]


def typed_line(error: BaseException, max_length: int | None = None) -> str:
    """The type and the message of an exception on one line.

    >>> typed_line(ValueError("no number"))
    'ValueError: no number'
    """
    return one_line(f"{type(error).__name__}: {error}", max_length)


class UserError(ValueError):
    """Something in the call, the study file or the data is wrong.

    The message is one line: what is wrong, where, and what to do about it. The command line
    prints it and exits with 2; in Python it is an ordinary ``ValueError``.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class Stopped(KeyboardInterrupt):
    """A study was stopped on request: what was trained is saved, and the same call continues from there.

    Attributes:
        signal: the number of the signal that asked.
    """

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal
