"""A worker process: jobs in through standard input, one a line; events out, one JSON object a line.

A worker is a fresh process, never a fork, and knows nothing of the caller's ``__main__``. It answers
``{"epoch": row}`` and ``{"say": text}`` while it trains and ``{"outcome": ...}`` at the end. At the line
``stop`` it saves after the epoch. When standard input closes, because the caller has finished or died, it
ends at once, even in the middle of an epoch.

With ``--hand-over`` it also answers ``{"saved": progress, "file": path}`` when a state is written, and waits
for the line ``kept`` before it saves another: the caller stores the state in another place. An outcome then
names the ``files`` that were stored with it.
"""

import io
import json
import os
import queue
import signal
import sys
import threading

STOP, KEPT = "stop", "kept"
HAND_OVER = "--hand-over"


def main() -> None:
    """Serve jobs until standard input closes."""
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C and a closed terminal are the caller's to handle
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    stop, kept = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of a user's network go to standard error, not among the answers
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(jobs, stop, kept), daemon=True).start()

    # Only now, because it takes seconds: a caller that dies in the meantime is noticed.
    from segstudy.store.checkpoints import Progress
    from segstudy.store.folder import StudyFolder
    from segstudy.store.trained_elsewhere import stored_files
    from segstudy.training.job import Job, Listener
    from segstudy.training.worker import execute

    answering = threading.Lock()  # states are saved by a thread of their own

    def answer(**event: object) -> None:
        with answering:
            answers.write(json.dumps(event) + "\n")
            answers.flush()

    def hand_over(progress: Progress) -> None:
        kept.clear()
        newest = StudyFolder(job.study).checkpoints(job.run.key).newest()
        answer(saved=progress.model_dump(), file=str(newest))
        kept.wait()

    saved = hand_over if HAND_OVER in sys.argv else None
    listener = Listener(lambda row: answer(epoch=row), lambda text: answer(say=text), stop, saved)
    while True:
        job = Job.model_validate_json(jobs.get())
        outcome = execute(job, listener)
        stored = stored_files(StudyFolder(job.study), job.run.key) if saved else []
        answer(outcome=outcome.model_dump(), files=[str(file) for file in stored])


def _read(jobs: "queue.Queue[str]", stop: threading.Event, kept: threading.Event) -> None:
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):  # as it was sent, whatever the locale
        if line.strip() == STOP:
            stop.set()
        elif line.strip() == KEPT:
            kept.set()
        else:
            jobs.put(line)
    os._exit(0)  # the caller has gone: nobody needs the rest of the epoch


if __name__ == "__main__":
    main()
