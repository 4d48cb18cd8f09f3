"""Names and addresses of machines, which are left out of what is stored: a study may be published."""

import ipaddress
import re
from collections.abc import Iterable

MACHINE = "(machine)"
# Where our own messages name a machine, and older ones did.
_NAMED = re.compile(r"(?<= on host )[^\s;,()]+|(?<=, the last time )\S+")
_IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.\d{1,3}){3})?(?:%[\w.-]+)?(?![\w:])"
)
_NO_NAME = ("", "localhost")


def without_machines(text: str, names: Iterable[str] = ()) -> str:
    """Return a text without addresses of machines, and without these names of machines.

    >>> without_machines("ip: 10.0.0.7, node gpu-1.lab of fe80::1; at 12:30:45 x[1::2]", ["gpu-1.lab"])
    'ip: (machine), node (machine) of (machine); at 12:30:45 x[1::2]'
    """
    text = _NAMED.sub(MACHINE, text)
    spellings = {name for each in names for name in (each, each.partition(".")[0])}
    for name in sorted(spellings.difference(_NO_NAME), key=len, reverse=True):
        if not name.isdecimal():  # the first number of an address
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", MACHINE, text)
    return _IPV4.sub(MACHINE, _IPV6.sub(_masked, text))


def _masked(found: re.Match[str]) -> str:
    """Return what takes the place of an IPv6 address; times and slices of a list look nearly like one."""
    try:
        address = ipaddress.IPv6Address(found[0])
    except ValueError:
        return found[0]
    groups = [group for group in found[0].split(":") if group]
    is_one = len(groups) > 2 or (len(groups) == 2 and len(groups[0]) > 2)
    return MACHINE if is_one and not address.is_loopback else found[0]
