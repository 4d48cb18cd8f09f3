"""Python imports this at its start: it notes which addresses a process and its children ask for or call."""

import os
import sys

NOTES = os.environ.get("WATCHER_NOTES")
CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event in CALLS:
        with open(str(NOTES), "a", encoding="utf-8") as notes:  # noqa: PTH123 (before anything is imported)
            notes.write(f"{event} {arguments[1:] if event.startswith('socket.con') else arguments}\n")


if NOTES:
    sys.addaudithook(note)
