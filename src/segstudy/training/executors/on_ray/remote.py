"""One place in the cluster, and the thread that gives it runs."""

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from segstudy.core.errors import UserError, one_line
from segstudy.core.locks import hold
from segstudy.store.folder import StudyFolder
from segstudy.training.executors.base import Watch
from segstudy.training.executors.on_ray.bookkeeping import FailedStarts, Losses, Waiting
from segstudy.training.executors.on_ray.cluster import LINE
from segstudy.training.executors.on_ray.node import Reader, code_version
from segstudy.training.executors.on_ray.storing import last_epoch, order_of, store_outcome, store_state
from segstudy.training.failures import reason_of
from segstudy.training.job import Job, Outcome
from segstudy.training.worker import LOCK_WAIT_S, failure

CLOSING_S = 10.0


@dataclass(frozen=True)
class Shared:
    """What all places have in common.

    Attributes:
        ray: the library, connected.
        place: ``Place``, as Ray starts it.
        needs: CPUs, GPUs and memory of a run, as Ray names them.
        waiting: the jobs that no place has.
        losses: how often each run lost its machine.
        ended: gets outcomes, an error that ends the study, and None from each place that ends.
        watch: its callbacks are called for every job.
        failed_starts: places that could not be started.
        unusable: machines on which nothing is trained, by their number for Ray, each with the reason.
        first: a job, for what is said before any begins.
    """

    ray: Any
    place: Any
    needs: dict[str, float]
    waiting: Waiting
    losses: Losses
    ended: "queue.SimpleQueue[Outcome | Exception | None]"
    watch: Watch
    failed_starts: FailedStarts
    unusable: dict[str, str]
    first: Job


class LostError(Exception):
    """The place is gone, with its machine or alone."""


class Remote:
    """A place in the cluster for one run at a time, used for many runs until it is lost."""

    def __init__(self, shared: Shared):
        self._shared, self._ray = shared, shared.ray
        not_on = {"ray.io/node-id": f"!in({','.join(shared.unusable)})"} if shared.unusable else {}
        place = shared.place.options(
            **shared.needs,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,
            label_selector=not_on,
        )
        self._place = place.remote(int(shared.needs["num_cpus"]))
        self._there: set[str] = set()  # names of prepared data
        self._changing = threading.Lock()
        self._is_placed = self._is_told = self._is_stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def is_placed(self) -> bool:
        """Whether it has, or had, its place in the cluster."""
        return self._is_placed

    @property
    def is_over(self) -> bool:
        """Whether it has ended; all that it reports was reported before."""
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """End it if it still waits for a place."""
        with self._changing:
            if not self._is_placed:
                self._end()

    def finish_epoch(self) -> None:
        """Ask it, once, to end its run after the epoch, saved."""
        if not self._is_told:
            self._is_told = True
            self._place.stop.remote()

    def stop(self) -> None:
        """End it, whatever it is doing; what it had not saved is lost."""
        with self._changing:
            self._end()
        self._thread.join()

    def _end(self) -> None:
        self._is_stopped = True
        with suppress(Exception):  # it may be gone, and the connection too
            self._ray.kill(self._place)

    def _work(self) -> None:
        shared = self._shared
        try:
            if self._is_there():
                while not shared.watch.stop.is_set() and not self._is_stopped:
                    job = shared.waiting.take(self._there)
                    if job is None:
                        break
                    self._train(job)
                self._close()
        except LostError:
            pass
        except Exception as error:  # the caller waits for one answer for each job: this is it
            shared.ended.put(error)
        finally:
            self._end()
            shared.ended.put(None)

    def _close(self) -> None:
        """Let the machine remove what it wrote."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.get(self._place.close.remote(), timeout=CLOSING_S)

    def _is_there(self) -> bool:
        """Wait for a place in the cluster; False if there will be none.

        Raises:
            UserError: no machine starts a place.
        """
        shared = self._shared
        try:
            about = self._ray.get(self._place.about.remote())
        except self._ray.exceptions.RayError as error:
            if self._is_stopped:
                return False
            is_raised = bool(getattr(error, "actor_init_failed", False))
            if shared.failed_starts.is_too_many(is_raised, time.monotonic()):
                raise UserError(
                    "no machine of the Ray cluster starts a worker; the cluster must run, with the same "
                    f"segstudy on all machines; Ray says: {one_line(error, LINE)}"
                ) from None
            shared.watch.stop.wait(1.0)
            return False
        shared.failed_starts.reset()
        self.machine, self._node = about["machine"], about["node"]
        if about["code"] != code_version():
            self._refuse_machine(f"its segstudy is {about['code']} and here it is {code_version()}")
        if self._node in shared.unusable:
            return False
        with self._changing:
            self._is_placed = not self._is_stopped
        return self._is_placed

    def _train(self, job: Job) -> None:
        """Train a run here and report its outcome, or return it to the others if this place is lost.

        Raises:
            LostError: this place is gone.
        """
        shared = self._shared
        try:
            outcome = self._outcome(job)
        except self._ray.exceptions.RayTaskError as error:  # raised by our code over there
            outcome = failure(job, "crashed", one_line(error.cause, LINE), str(error))
        except self._ray.exceptions.RayError as error:
            if not self._is_stopped:
                self._lost(job, one_line(error, LINE))
            raise LostError from None
        except UserError as error:  # as training.worker.execute: the rest of the study continues
            outcome = failure(job, reason_of(error), str(error))
        if outcome.status == "stopped" and not shared.watch.stop.is_set():
            shared.waiting.put_back(job)  # this place alone was asked to end: another continues its run
            raise LostError
        shared.ended.put(outcome)

    def _lost(self, job: Job, error: str) -> None:
        """Give a run whose place is gone to another one, unless that happens again and again."""
        shared, epoch = self._shared, last_epoch(job)
        if shared.losses.is_too_many(job.run.key, epoch):
            times = f"{shared.losses.most} times without a new saved state in between"
            shared.watch.say(job, f"{self.machine} was lost; the run is not tried again")
            detail = f"its machine was lost {times}"  # without its name: the record is published
            shared.ended.put(failure(job, "worker died", detail, error))
            return
        after = f"after epoch {epoch}" if epoch else "from the start"
        shared.watch.say(job, f"{self.machine} was lost; the run continues on another machine, {after}")
        if shared.watch.stop.is_set():
            shared.ended.put(Outcome(key=job.run.key, status="stopped"))
        else:
            shared.waiting.put_back(job)

    def _outcome(self, job: Job) -> Outcome:
        folder, key = StudyFolder(job.study), job.run.key
        with hold(folder.run_lock(key), f"run {key}", LOCK_WAIT_S):
            if folder.is_finished(key):  # by the process that held the lock before
                return Outcome(key=key, status="finished")
            self._shared.watch.begin(job)
            outcome = self._trained(job)
            if outcome.reason == "prepared data gone" and job.prepared.is_dir():
                # What is in this machine's cache was altered: it gets the data once more.
                self._ray.get(self._place.discard.remote(job.prepared.name))
                self._there.discard(job.prepared.name)
                outcome = self._trained(job)
            return outcome

    def _trained(self, job: Job) -> Outcome:
        self._deliver(job)
        watch = self._shared.watch
        for ref in self._place.train.remote(order_of(job, watch)):
            event = self._ray.get(ref)
            if "epoch" in event:
                watch.epoch(job, event["epoch"])
            elif "say" in event:
                watch.say(job, event["say"])
            elif "saved" in event:
                store_state(job, event["saved"], event["content"], watch)
                self._place.kept.remote()
            elif "unusable" in event:
                self._refuse_machine(event["unusable"])
                self._shared.waiting.put_back(job)
                raise LostError
            elif "died" in event:
                return failure(job, "worker died", *event["died"])
            else:
                outcome = Outcome.model_validate(event["outcome"])
                if outcome.status == "failed" and not event["files"]:  # no space over there for its record
                    outcome = failure(job, str(outcome.reason), str(outcome.detail))
                store_outcome(job, outcome, event["files"])
                return outcome
        raise UserError(f"run {job.run.key} ended without an outcome; run again")

    def _deliver(self, job: Job) -> None:
        """See that the machine has the prepared data of a job."""
        name = job.prepared.name
        if name in self._there:
            return
        if not self._ray.get(self._place.has.remote(name)):
            here = self._ray.get_runtime_context().get_node_id()
            pinned = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
            options = {"num_cpus": 0, "scheduling_strategy": pinned, "max_concurrency": 4}
            reader = self._ray.remote(Reader).options(**options).remote(str(job.prepared))
            if error := self._ray.get(self._place.fetch.remote(name, reader)):
                self._refuse_machine(f"the data cannot be stored there ({error})")
                self._shared.waiting.put_back(job)
                raise LostError
        self._there.add(name)

    def _refuse_machine(self, reason: str) -> None:
        """Train nothing on this machine any more, and say so once."""
        if self._node not in self._shared.unusable:
            self._shared.unusable[self._node] = f"{self.machine}: {reason}"
            self._shared.watch.say(self._shared.first, f"{self.machine} is not used: {reason}")
