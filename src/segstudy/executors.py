"""Where runs are trained: one after the other here, or side by side in worker processes."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from segstudy.worker import Job, Outcome, execute, failure

Notify = Callable[[Job, dict[str, float]], None]
Executor = Callable[[Sequence[Job], int, Notify], Iterator[Outcome]]

LOG_LINES = 50


def serial(jobs: Sequence[Job], _workers: int, notify: Notify) -> Iterator[Outcome]:
    """One run after the other, in this process."""
    for job in jobs:
        yield execute(job, lambda row, job=job: notify(job, row))  # type: ignore[misc]


def processes(jobs: Sequence[Job], workers: int, notify: Notify) -> Iterator[Outcome]:
    """Runs side by side in fresh processes, each used for many runs.

    A worker that dies fails only the run it had and is replaced. No worker outlives this process: each
    ends when its standard input closes, and that happens however this process ends.

    Args:
        jobs: what to train, in this order.
        workers: how many processes.
        notify: told of every epoch of every job, from other threads.

    Yields:
        Outcomes in the order in which the runs end.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    ended: queue.SimpleQueue[Outcome | Exception] = queue.SimpleQueue()
    pool = [_Worker(waiting, ended, notify) for _ in range(min(workers, len(jobs)))]
    try:
        for _ in jobs:
            outcome = ended.get()
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome
    finally:
        for worker in pool:
            worker.stop()


class _Worker:
    """A thread that keeps one worker process busy with what is waiting."""

    def __init__(
        self,
        waiting: "queue.SimpleQueue[Job]",
        ended: "queue.SimpleQueue[Outcome | Exception]",
        notify: Notify,
    ):
        self._waiting, self._ended, self._notify = waiting, ended, notify
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the process, whatever it is doing; what it had not finished is not stored."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stopped:
                job = self._waiting.get_nowait()
                outcome = self._train(job)
                if not self._stopped:
                    self._ended.put(outcome or failure(job, "worker died", *self._last_words()))
        except queue.Empty:
            pass
        except Exception as error:  # the caller waits for one answer a job: this is the answer
            self._ended.put(error)
        finally:
            self._close()

    def _train(self, job: Job) -> Outcome | None:
        """Hand a job to the process and wait for its outcome; None when the process died over it."""
        if self._process is None or self._process.poll() is not None:
            self._close()
            self._start(job.threads)
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it may die before it has read the job
            process.stdin.write(job.model_dump_json() + "\n")
            process.stdin.flush()
        for line in process.stdout:
            event = json.loads(line)
            if "outcome" in event:
                return Outcome.model_validate(event["outcome"])
            self._notify(job, event["epoch"])
        return None

    def _start(self, threads: int) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "segstudy.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        self._process = process
        self._log = deque(maxlen=LOG_LINES)
        self._listener = threading.Thread(target=self._log.extend, args=(process.stderr,), daemon=True)
        self._listener.start()

    def _last_words(self) -> tuple[str, str]:
        assert self._process is not None
        code = self._process.wait()
        self._listener.join()
        ended_with = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker process ended with {ended_with}", "".join(self._log)

    def _close(self) -> None:
        """See the process off: it ends when its standard input closes."""
        if self._process is None:
            return
        with suppress(BrokenPipeError), self._process:
            self._process.stdin.close()  # type: ignore[union-attr]
            self._listener.join()


EXECUTORS: dict[str, Executor] = {"serial": serial, "processes": processes}
