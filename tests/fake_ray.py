"""A double of Ray, in this process: places that answer or raise as a test says, without a cluster."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import fake_study

from segstudy.core.libraries import ray as import_ray
from segstudy.data.split import Split
from segstudy.training.executors.on_ray.node import code_version
from segstudy.training.job import Job


def jobs_of(folder, prepared, names=("unet-bce-b8", "unet-dice-b8")) -> list[Job]:
    """A job for each of these configurations of a ``fake_study``."""
    parts = fake_study.stored_parts(folder, None)
    split = Split(*(tuple(parts[part]) for part in fake_study.PARTS))
    return [
        Job(
            run=fake_study.run_of(fake_study.configuration_of(folder, name), 0, None, parts),
            name=name,
            study=folder.path,
            prepared=prepared,
            split=split,
            device="cpu",
            threads=1,
        )
        for name in names
    ]


def failed(key: str) -> dict[str, Any]:
    """The last event of a run that failed where there was no space for its record."""
    return {"outcome": {"key": key, "status": "failed", "reason": "crashed", "detail": "x"}, "files": {}}


def fails(order: Any) -> Iterable[dict[str, Any]]:
    return [failed(key_of(order))]


def key_of(order: Any) -> str:
    return Job.model_validate(order.job).run.key


def raised_at_start(node: str, error: Exception) -> Exception:
    """As Ray says that code of ours raised an error when a place was started on a machine."""
    from ray.exceptions import ActorDiedError, RayTaskError

    return ActorDiedError(RayTaskError("Place.__init__", str(error), error, "p", 1, "10.0.0.1", None, node))


def raised_there(error: Exception) -> Exception:
    """As Ray says that code of ours raised an error in a call."""
    from ray.exceptions import RayTaskError

    text = f"Traceback (most recent call last):\n{error}"
    return RayTaskError("call", text, error, "p", 1, "10.0.0.1", None, "aa").as_instanceof_cause()


class Method:
    """A method of a place: what it gives, or raises, is found when it is asked for."""

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def remote(self, *args: Any) -> Callable[[], Any]:
        return lambda: self._call(*args)


class Events(Method):
    def remote(self, *args: Any) -> Any:
        return ((lambda event=event: _raised(event)) for event in self._call(*args))


def _raised(event: Any) -> Any:
    if isinstance(event, Exception):
        raise event
    return event


class FakePlace:
    """A place on a machine."""

    def __init__(self, ray: "FakeRay", node: str):
        self.ray, self.node, self.is_killed = ray, node, False
        self._actor_id = SimpleNamespace(hex=lambda: node)
        self.about = Method(self._about)
        self.has = Method(lambda _: ray.has)
        self.fetch = Method(lambda *_: ray.fetched)
        self.discard = Method(lambda *_: ray.is_discarded)
        self.train = Events(self._train)
        self.kept = self.stop = self.close = Method(lambda: None)

    def _train(self, order: Any) -> Iterable[Any]:
        return self.ray.train(order)  # which a test may change meanwhile

    def _about(self) -> dict[str, str]:
        if error := self.ray.at_start.get(self.node):
            raise error
        return {"machine": f"host-{self.node}", "node": self.node, "code": code_version(), "error": ""}


class FakeRay:
    """The functions of Ray that the executor calls.

    Attributes:
        at_start: errors that places raise when they are started, by machine.
        train: from an order to its events; an exception among them is raised.
        places: all that were made.
    """

    def __init__(self, *nodes: str):
        real = import_ray()
        self.exceptions, self.util = real.exceptions, real.util
        self.node_names = list(nodes)
        self.at_start: dict[str, Exception] = {}
        self.train: Callable[[Any], Iterable[Any]] = fails
        self.has, self.fetched, self.is_discarded = True, {}, True
        self.places: list[FakePlace] = []
        self.resources = {"CPU": 8.0, "memory": 1e10}
        # Here a place's number is that of its machine.
        state = SimpleNamespace(actors=lambda node: {"Address": {"NodeID": node}})
        self._private = SimpleNamespace(state=state)

    def nodes(self) -> list[dict[str, Any]]:
        about = {"Alive": True, "Resources": self.resources}
        return [{"NodeID": node, "NodeManagerHostname": f"host-{node}", **about} for node in self.node_names]

    def get(self, ref: Callable[[], Any], timeout: float = 0) -> Any:
        assert timeout >= 0
        return ref()

    def kill(self, place: FakePlace) -> None:
        place.is_killed = True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0" * 56)

    def remote(self, _cls: type) -> Any:
        return SimpleNamespace(options=self._options)

    def _options(self, label_selector: dict[str, str] | None = None, **_: Any) -> Any:
        avoided = (label_selector or {}).get("ray.io/node-id", "")
        node = next((each for each in self.node_names if each not in avoided), self.node_names[-1])

        def made(*_: Any) -> FakePlace:
            self.places.append(FakePlace(self, node))
            return self.places[-1]

        return SimpleNamespace(remote=made)
