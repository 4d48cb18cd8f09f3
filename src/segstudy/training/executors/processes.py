"""Runs in parallel, in worker processes."""

import queue
import threading
from collections.abc import Iterator, Sequence

from segstudy.core.device import gpu_for, visible_gpus
from segstudy.store.folder import StudyFolder
from segstudy.training.executors.base import Watch
from segstudy.training.executors.child import Child
from segstudy.training.executors.worker_process import STOP
from segstudy.training.job import Job, Outcome
from segstudy.training.worker import failure

LOOK_S = 0.2  # between two looks at whether the study is to stop


def processes(jobs: Sequence[Job], workers: int, watch: Watch) -> Iterator[Outcome]:
    """Runs in parallel in fresh processes, each used for many runs.

    A worker that dies fails only the run it had and is replaced. No worker outlives this process: each
    ends when its standard input closes, and that happens however this process ends.

    Args:
        jobs: what to train, in this order.
        workers: how many processes.
        watch: its callbacks are called for every job.

    Yields:
        Outcomes in the order in which the runs end; jobs that were not begun have none.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    ended: queue.SimpleQueue[Outcome | Exception | None] = queue.SimpleQueue()
    pool = [_Worker(waiting, ended, watch, place) for place in range(min(workers, len(jobs)))]
    at_work = len(pool)
    try:
        while at_work:
            if watch.stop.is_set():
                for worker in pool:
                    worker.finish_epoch()
            try:
                outcome = ended.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is None:
                at_work -= 1
            else:
                yield outcome
    finally:
        for worker in pool:
            worker.stop()


class _Worker:
    """A thread that gives one worker process the waiting jobs, one after the other."""

    def __init__(
        self,
        waiting: "queue.SimpleQueue[Job]",
        ended: "queue.SimpleQueue[Outcome | Exception | None]",
        watch: Watch,
        place: int,
    ):
        self._waiting, self._ended, self._watch, self._place = waiting, ended, watch, place
        self._process: Child | None = None
        self._sending = threading.Lock()
        self._told = False  # to finish the epoch
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def finish_epoch(self) -> None:
        """Ask the process, once, to end its run after the epoch, saved."""
        with self._sending:
            if not self._told and self._process is not None:
                self._process.send(STOP)
            self._told = True

    def stop(self) -> None:
        """End the process, whatever it is doing; what it had not saved is lost."""
        with self._sending:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stopped and not self._watch.stop.is_set():
                job = self._waiting.get_nowait()
                outcome = self._train(job)
                if self._stopped:
                    continue
                if outcome is None:
                    assert self._process is not None
                    outcome = _left_by_a_dead_worker(job, *self._process.last_words())
                if outcome.status == "stopped" and not self._watch.stop.is_set():
                    self._close()  # this process alone was asked to end: another continues its run
                    self._watch.wait(job)
                    self._waiting.put(job)
                else:
                    self._ended.put(outcome)
        except queue.Empty:
            pass
        except Exception as error:  # the caller waits for one answer for each job: this is it
            self._ended.put(error)
        finally:
            self._close()
            self._ended.put(None)

    def _train(self, job: Job) -> Outcome | None:
        """Hand a job to the process and wait for its outcome; None when the process died during it."""
        with self._sending:  # so that nothing is started after the request to stop
            if self._stopped:
                return None
            if self._process is None or not self._process.is_alive():
                self._close()
                self._process = self._started(job)
            process = self._process
            self._watch.begin(job)
            process.send(job.model_dump_json())
            if self._told:
                process.send(STOP)
        for event in process.events():
            if "outcome" in event:
                return Outcome.model_validate(event["outcome"])
            if "say" in event:
                self._watch.say(job, event["say"])
            else:
                self._watch.epoch(job, event["epoch"])
        return None

    def _started(self, job: Job) -> Child:
        settings = {"OMP_NUM_THREADS": str(job.threads)}
        if job.device == "cuda":
            settings["CUDA_VISIBLE_DEVICES"] = gpu_for(self._place, visible_gpus())
        return Child(settings)

    def _close(self) -> None:
        if self._process is not None:
            self._process.close()


def _left_by_a_dead_worker(job: Job, ended_with: str, log: str) -> Outcome:
    """Return the outcome of the run of a dead worker: it may have died just after storing it."""
    if StudyFolder(job.study).is_finished(job.run.key):
        return Outcome(key=job.run.key, status="finished")
    return failure(job, "worker died", ended_with, log)
