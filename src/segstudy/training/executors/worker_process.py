"""A worker process: jobs in through standard input, one a line; events out, one JSON object a line.

A worker is a fresh process, never a fork, and knows nothing of the caller's ``__main__``. It answers
``{"epoch": row}`` and ``{"say": text}`` while it trains and ``{"outcome": ...}`` at the end. At the line
``stop`` it saves after the epoch. When standard input closes, because the caller has finished or died, it
ends at once, even in the middle of an epoch.
"""

import io
import json
import os
import queue
import signal
import sys
import threading

STOP = "stop"


def main() -> None:
    """Serve jobs until standard input closes."""
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C and a closed terminal are the caller's to handle
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of a user's network go to standard error, not among the answers
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(jobs, stop), daemon=True).start()

    # Only now, because it takes seconds: a caller that dies in the meantime is noticed.
    from segstudy.training.job import Job, Listener
    from segstudy.training.worker import execute

    def answer(**event: object) -> None:
        answers.write(json.dumps(event) + "\n")
        answers.flush()

    listener = Listener(lambda row: answer(epoch=row), lambda text: answer(say=text), stop)
    while True:
        outcome = execute(Job.model_validate_json(jobs.get()), listener)
        answer(outcome=outcome.model_dump())


def _read(jobs: "queue.Queue[str]", stop: threading.Event) -> None:
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):  # as it was sent, whatever the locale
        if line.strip() == STOP:
            stop.set()
        else:
            jobs.put(line)
    os._exit(0)  # the caller has gone: nobody needs the rest of the epoch


if __name__ == "__main__":
    main()
