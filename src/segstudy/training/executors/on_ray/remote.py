"""One place in the cluster, and the thread that gives it runs."""

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from segstudy.core.errors import UserError, one_line
from segstudy.core.locks import hold
from segstudy.core.machine_names import without_machines
from segstudy.store.folder import StudyFolder
from segstudy.training.executors.base import Watch
from segstudy.training.executors.on_ray.bookkeeping import FailedStarts, Losses, Waiting
from segstudy.training.executors.on_ray.cluster import LINE
from segstudy.training.executors.on_ray.node import Reader, code_version
from segstudy.training.executors.on_ray.prepared_data import listing, same_folder
from segstudy.training.executors.on_ray.storing import last_epoch, order_of, store_outcome, store_state
from segstudy.training.job import Job, Outcome
from segstudy.training.worker import LOCK_WAIT_S, failure, failure_by

CLOSING_S = 10.0
AGAIN_S = 1.0  # after a start that failed


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
        unusable: machines on which nothing is trained, by their number for Ray, each with the reason; by an
            empty text if Ray did not say which one it is.
        first: a job, for what is said before any begins.
        is_own: whether the cluster was started here, so that no machine will join.
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
    is_own: bool = False


class LostError(Exception):
    """The place is gone, with its machine or alone."""


class Remote:
    """A place in the cluster for one run at a time, used for many runs until it is lost."""

    def __init__(self, shared: Shared):
        self._shared, self._ray = shared, shared.ray
        self._avoids = {node for node in list(shared.unusable) if node}
        not_on = {"ray.io/node-id": f"!in({','.join(self._avoids)})"} if self._avoids else {}
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
        self._is_placed = self._is_told = self._is_stopped = self._is_training = False
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

    @property
    def is_outdated(self) -> bool:
        """Whether it may be given a place on a machine that became unusable since."""
        return not self._avoids.issuperset(node for node in list(self._shared.unusable) if node)

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
                self._train_all()
                self._close()
        except LostError:
            pass
        except Exception as error:  # the caller waits for one answer for each job: this is it
            shared.ended.put(error)
        finally:
            self._end()
            shared.ended.put(None)

    def _train_all(self) -> None:
        """Train runs until none waits, or this place may be at work on a run that has ended for us."""
        shared = self._shared
        while not (shared.watch.stop.is_set() or self._is_stopped or self._is_training):
            job = shared.waiting.take(self._there)
            if job is None:
                return
            self._train(job)

    def _close(self) -> None:
        """Let the machine remove what it wrote."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.get(self._place.close.remote(), timeout=CLOSING_S)

    def _is_there(self) -> bool:
        """Wait for a place in the cluster; False if there will be none."""
        shared = self._shared
        try:
            about = self._ray.get(self._place.about.remote())
        except self._ray.exceptions.RayError as error:
            if not self._is_stopped:
                self._note_failed_start(error)
            return False
        self.machine, self._node = about["machine"], about["node"]
        shared.failed_starts.reset(self._node, "")
        if about["code"] != code_version():
            self._refuse_machine(f"its segstudy is {about['code']} and here it is {code_version()}")
        if about["error"]:
            self._refuse_machine(f"no run can be stored there ({about['error']})")
        if self._node in shared.unusable:
            return False
        with self._changing:
            self._is_placed = not self._is_stopped
        return self._is_placed

    def _note_failed_start(self, error: Exception) -> None:
        """Count a start that failed; after several on a machine, it is not used any more."""
        is_raised = isinstance(error, self._ray.exceptions.RayTaskError)
        is_raised |= bool(getattr(error, "actor_init_failed", False))
        self._node, self.machine = self._where(error)
        if self._shared.failed_starts.is_too_many(self._node, is_raised, time.monotonic()):
            last = str(error).strip().splitlines()[-1:] if is_raised else [str(error)]  # of a traceback
            self._refuse_machine(
                "no worker starts there; it must have the same segstudy as this machine; Ray says: "
                f"{one_line(' '.join(last), LINE)}"
            )
        self._shared.watch.stop.wait(AGAIN_S)

    def _where(self, error: Exception) -> tuple[str, str]:
        """Return number and name of the machine on which this place could not be started, if Ray knows."""
        with suppress(Exception):  # only Ray's own table says it, in a form of its own, and it may be gone
            actor = getattr(error, "actor_id", None) or self._place._actor_id.hex()
            node = self._ray._private.state.actors(actor)["Address"]["NodeID"]
            names = {each["NodeID"]: each["NodeManagerHostname"] for each in self._ray.nodes()}
            return node, names[node]
        return "", "a machine that Ray does not name"

    def _train(self, job: Job) -> None:
        """Train a run here and report its outcome, or return it to the others if this place is lost.

        Any error that one run meets is that run's failure: the rest of the study continues.

        Raises:
            LostError: this place is gone.
        """
        shared = self._shared
        try:
            outcome = self._outcome(job)
        except LostError:
            raise
        except self._ray.exceptions.RayTaskError as error:  # raised by our code over there
            texts = one_line(error.cause, LINE), str(error)
            outcome = failure(job, "crashed", *(self._without_machines(text) for text in texts))
        except self._ray.exceptions.RayError as error:
            if not self._is_stopped:
                self._lost(job, one_line(error, LINE))
            raise LostError from None
        except Exception as error:
            if self._is_stopped:  # a consequence of that
                raise LostError from None
            if type(error).__module__.partition(".")[0] == "ray":  # the connection is broken, for all runs
                raise
            outcome = failure_by(job, error)
        if outcome.status == "stopped" and not shared.watch.stop.is_set():
            self._give_back(job)  # this place alone was asked to end: another continues its run
            raise LostError
        shared.ended.put(outcome)

    def _give_back(self, job: Job) -> None:
        """Return a run that was begun to the others."""
        self._shared.watch.wait(job)
        self._shared.waiting.put_back(job)

    def _without_machines(self, text: str) -> str:
        """Return a text of Ray's without names and addresses of machines, which are not stored."""
        names = {self.machine}
        with suppress(Exception):  # the connection may be gone
            for node in self._ray.nodes():
                names |= {str(node.get(name, "")) for name in ("NodeManagerHostname", "NodeName")}
        return without_machines(text, names)

    def _lost(self, job: Job, error: str) -> None:
        """Give a run whose place is gone to another one, unless that happens again and again."""
        shared, epoch = self._shared, last_epoch(job)
        if shared.losses.is_too_many(job.run.key, epoch):
            times = f"{shared.losses.most} times without a new saved state in between"
            shared.watch.say(job, f"{self.machine} was lost; the run is not tried again")
            detail = f"its machine was lost {times}"  # without its name: the record is published
            shared.ended.put(failure(job, "worker died", detail, self._without_machines(error)))
            return
        after = f"after epoch {epoch}" if epoch else "from the start"
        shared.watch.say(job, f"{self.machine} was lost; the run continues on another machine, {after}")
        if shared.watch.stop.is_set():
            shared.ended.put(Outcome(key=job.run.key, status="stopped"))
        else:
            self._give_back(job)

    def _outcome(self, job: Job) -> Outcome:
        folder, key = StudyFolder(job.study), job.run.key
        with hold(folder.run_lock(key), f"run {key}", LOCK_WAIT_S):
            if folder.is_finished(key):  # by the process that held the lock before
                return Outcome(key=key, status="finished")
            outcome = self._trained(job)
            if outcome.reason == "prepared data gone" and self._is_discarded(job):
                self._shared.watch.wait(job)
                outcome = self._trained(job)
            return outcome

    def _is_discarded(self, job: Job) -> bool:
        """Discard the altered data in this machine's cache; False if they are sent from there."""
        try:
            source = same_folder(job.prepared)
        except OSError:
            return False
        self._there.discard(job.prepared.name)
        return bool(self._ray.get(self._place.discard.remote(job.prepared.name, source)))

    def _trained(self, job: Job) -> Outcome:
        """Train a run, and store what comes back."""
        self._deliver(job)
        watch = self._shared.watch
        order = order_of(job, watch)
        watch.begin(job)
        self._is_training = True  # until it has ended over there: else this place is not used again
        for ref in self._place.train.remote(order):
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
                self._give_back(job)
                raise LostError
            else:
                outcome = self._stored(job, event)
                self._is_training = False
                return outcome
        raise UserError(f"run {job.run.key} ended without an outcome; run again")

    def _stored(self, job: Job, event: dict[str, Any]) -> Outcome:
        """Store how a run ended, and return it."""
        if "died" in event:
            return failure(job, "worker died", *event["died"])
        outcome = Outcome.model_validate(event["outcome"])
        is_ours = outcome.key == job.run.key  # else refused when it is stored
        if is_ours and outcome.status == "failed" and not event["files"]:  # no space there for its record
            outcome = failure(job, str(outcome.reason), str(outcome.detail))
        store_outcome(job, outcome, event["files"])
        return outcome

    def _deliver(self, job: Job) -> None:
        """See that the machine has the prepared data of a job.

        Raises:
            PreparedDataGoneError: they are gone here.
            UserError: they cannot be read here.
            LostError: they cannot be stored there.
        """
        name = job.prepared.name
        if name in self._there:
            return
        if not self._ray.get(self._place.has.remote(name)):
            files = listing(job.prepared)
            here = self._ray.get_runtime_context().get_node_id()
            pinned = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
            options = {"num_cpus": 0, "scheduling_strategy": pinned, "max_concurrency": 4}
            reader = self._ray.remote(Reader).options(**options).remote(str(job.prepared))
            wrong = self._ray.get(self._place.fetch.remote(name, files, reader))
            if "not_sent" in wrong:
                listing(job.prepared)  # raises if they are gone
                raise UserError(f"{job.prepared}: cannot be sent ({wrong['not_sent']}); run again")
            if "not_stored" in wrong:
                self._refuse_machine(f"the data cannot be stored there ({wrong['not_stored']})")
                self._give_back(job)
                raise LostError
        self._there.add(name)

    def _refuse_machine(self, reason: str) -> None:
        """Train nothing on this machine any more, and say so once."""
        if self._node not in self._shared.unusable:
            self._shared.unusable[self._node] = f"{self.machine}: {reason}"
            self._shared.watch.say(self._shared.first, f"{self.machine} is not used: {reason}")
