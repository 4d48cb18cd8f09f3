"""Where runs are trained: one after the other here, or side by side in worker processes."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

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
    ended: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    pool = [_Worker(waiting, ended, notify) for _ in range(min(workers, len(jobs)))]
    try:
        for _ in jobs:
            outcome = ended.get()
            if isinstance(outcome, BaseException):
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
        ended: "queue.SimpleQueue[Outcome | BaseException]",
        notify: Notify,
    ):
        self._waiting, self._ended, self._notify = waiting, ended, notify
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the process's standard input, at which it ends, and see to it that it did."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                break
            try:
                outcome: Outcome | BaseException = self._train(job)
            except Exception as error:  # must reach the caller, who waits for one answer a job
                outcome = error
            self._ended.put(outcome)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()

    def _train(self, job: Job) -> Outcome:
        if self._process is None or self._process.poll() is not None:
            self._process, self._log = _start(job.threads)
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(job.model_dump_json() + "\n")
            process.stdin.flush()
            for line in process.stdout:
                event = json.loads(line)
                if "outcome" in event:
                    return Outcome.model_validate(event["outcome"])
                self._notify(job, event["epoch"])
        except BrokenPipeError:
            pass  # died before it read the job: reported below
        code = process.wait()
        return failure(
            job, "worker died", f"the worker process ended with {_meaning(code)}", "".join(self._log)
        )


def _start(threads: int) -> tuple[subprocess.Popen[str], deque[str]]:
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
    log: deque[str] = deque(maxlen=LOG_LINES)
    threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True).start()
    return process, log


def _meaning(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


EXECUTORS: dict[str, Executor] = {"serial": serial, "processes": processes}
