"""The executor on Ray, without a cluster: if a machine, a run or an answer is wrong, only that is lost."""

import json
import os
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import fake_study
import pytest
from fake_ray import FakeRay, failed, fails, jobs_of, key_of, raised_at_start, raised_there

from segstudy.core.errors import UserError
from segstudy.core.libraries import ray as import_ray
from segstudy.store.checkpoints import Checkpoints
from segstudy.training.executors.base import Watch
from segstudy.training.executors.on_ray import cluster, executor, node, prepared_data, remote
from segstudy.training.executors.on_ray.bookkeeping import FailedStarts
from segstudy.training.executors.on_ray.own_code import placed
from segstudy.training.executors.on_ray.storing import last_epoch, order_of


@pytest.fixture
def study(tmp_path):
    return fake_study.make_study(tmp_path / "study")


@pytest.fixture
def jobs(study, tmp_path):
    prepared = tmp_path / "cache" / "prepared" / "data"
    prepared.mkdir(parents=True)
    (prepared / prepared_data.INDEX).write_text("{}")
    return jobs_of(study, prepared)


@pytest.fixture
def said():
    return []


@pytest.fixture
def watch(said):
    return Watch(say=lambda _job, text: said.append(text))


@pytest.fixture
def train(monkeypatch, jobs, watch):
    """Train the jobs on a double of Ray, and return outcomes by name of the configuration."""
    monkeypatch.setattr(remote, "AGAIN_S", 0.01)
    monkeypatch.setattr(executor, "LOOK_S", 0.01)
    monkeypatch.setattr(executor, "LACK_S", 0.1)

    def trained(ray, workers=1, is_own=False):
        @contextmanager
        def connected(*_):
            yield ray, is_own

        monkeypatch.setattr(executor, "cluster", connected)
        names = {job.run.key: job.name for job in jobs}
        return {names[each.key]: each for each in executor.on_ray(jobs, workers, watch)}

    return trained


# Machines that start no worker


def test_a_machine_that_starts_no_worker_is_left_out_and_named(train, said):
    ray = FakeRay("bad", "good")
    ray.at_start["bad"] = raised_at_start("bad", ImportError("No module named 'segstudy'"))
    assert len(train(ray)) == 2
    (line,) = said
    assert line.startswith("host-bad is not used: no worker starts there; it must have the same segstudy")
    assert "No module named 'segstudy'" in line


def test_starts_that_fail_end_no_study_while_a_place_is_at_work(train, said, monkeypatch):
    """The only run at work lasts until the bad machine has failed more often than is allowed."""
    monkeypatch.setattr(executor, "FailedStarts", lambda: FailedStarts(most=2, patience_s=0))
    ray = FakeRay("good")
    is_noticed = threading.Event()
    ray.train = lambda order: is_noticed.wait(10) and [failed(key_of(order))]
    real, num = ray._options, iter(range(100))

    def options(**given):
        if next(num) == 0:
            return real(**given)
        ray.at_start["unnamed"] = raised_at_start("unnamed", OSError("no more processes"))
        made = real(**given).remote()
        made.node = "unnamed"
        if len(ray.places) > 5:
            is_noticed.set()
            ray.at_start.clear()
        return SimpleNamespace(remote=lambda *_: made)

    ray._options = options
    assert len(train(ray, workers=2)) == 2
    assert len(ray.places) > 4
    assert all("Ray does not name" in line for line in said)


def test_only_where_no_place_can_be_started_anywhere_the_study_ends(train):
    ray = FakeRay("bad", "worse")
    for name in ("bad", "worse"):
        ray.at_start[name] = raised_at_start(name, ImportError("No module named 'segstudy'"))
    with pytest.raises(UserError, match=r"no machine of the cluster can train: host-bad: .*; host-worse: "):
        train(ray)


def test_a_machine_whose_cache_cannot_be_written_says_so(train, said, monkeypatch):
    ray = FakeRay("bad", "good")
    about = node.Place.about

    def refused(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(node, "writable_folder", refused)
    monkeypatch.setattr(node, "import_ray", lambda: ray)
    error = about(node.Place(1))["error"]
    assert "No space left" in error
    node.Place(1).close()  # removes nothing
    real = ray._options

    def options(**given):
        made = real(**given).remote()
        plain = made.about.remote()()
        if made.node == "bad":
            made.about = SimpleNamespace(remote=lambda: lambda: {**plain, "error": error})
        return SimpleNamespace(remote=lambda *_: made)

    ray._options = options
    assert len(train(ray)) == 2
    assert "host-bad is not used: no run can be stored there" in said[0]


# Errors of one run


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("odd"), UserError("wrong")])
def test_an_error_while_one_run_is_prepared_is_the_failure_of_that_run(train, study, monkeypatch, error):
    def of(job, watch):
        if "bce" in job.name:
            raise error
        return order_of(job, watch)

    monkeypatch.setattr(remote, "order_of", of)
    found = train(FakeRay("one"))
    assert found["unet-dice-b8"].detail == "x"
    assert str(error) in found["unet-bce-b8"].detail
    assert len(study.failed()) == 2


def test_an_error_while_one_run_is_stored_is_the_failure_of_that_run(train, study, monkeypatch):
    def store(job, *_):
        if "bce" in job.name:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(remote, "store_outcome", store)
    ray = FakeRay("one")
    ray.train = lambda order: [{"outcome": {"key": key_of(order), "status": "finished"}, "files": {}}]
    found = train(ray)
    assert found["unet-bce-b8"].status == "failed"
    assert "Permission denied" in found["unet-bce-b8"].detail
    assert found["unet-dice-b8"].status == "finished"


def test_a_place_that_is_stopped_leaves_no_failure(monkeypatch, jobs, study, watch):
    """At a second Ctrl-C places are killed; what their threads meet then is no failure of a run."""
    is_training, is_killed = threading.Event(), threading.Event()

    def events(_):
        is_training.set()
        is_killed.wait(10)
        return []

    ray = FakeRay("one")
    ray.train, ray.kill = events, lambda _: is_killed.set()

    @contextmanager
    def connected(*_):
        yield ray, False

    monkeypatch.setattr(executor, "cluster", connected)
    monkeypatch.setattr(executor, "LOOK_S", 0.01)
    real = executor._adjust

    def interrupted(shared, pool, workers):
        real(shared, pool, workers)
        if is_training.is_set():
            raise KeyboardInterrupt

    monkeypatch.setattr(executor, "_adjust", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(executor.on_ray(jobs, 1, watch))
    assert not study.failed()


def test_an_error_of_the_connection_ends_the_study(train, monkeypatch):
    class RpcError(Exception):
        __module__ = "ray._raylet"

    def of(*_):
        raise RpcError("the head is gone")

    monkeypatch.setattr(remote, "order_of", of)
    with pytest.raises(RpcError):
        train(FakeRay("one"))


def test_a_state_that_cannot_be_moved_aside_is_only_skipped(jobs, study, monkeypatch, said, watch):
    states = study.checkpoints(jobs[0].run.key)
    states.write(3, b"weights")
    states.newest().write_bytes(b"cut")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Checkpoints, "set_aside", refuse)
    assert order_of(jobs[0], watch).states == {}
    assert "000003.state cannot be used" in said[0]


def test_files_with_odd_names_are_no_states_of_an_epoch(jobs, study):
    states = study.checkpoints(jobs[0].run.key)
    assert last_epoch(jobs[0]) == 0
    states.write(3, b"weights")
    (states.folder / "000009 (copy).state").write_bytes(b"x")
    assert last_epoch(jobs[0]) == 3


# Answers


def test_after_a_broken_answer_another_place_is_used(train, jobs):
    ray = FakeRay("one")
    first = jobs[0].run.key
    ray.train = lambda order: [{"outcome": {"key": 7}}] if key_of(order) == first else fails(order)
    found = train(ray)
    assert "validation error" in found["unet-bce-b8"].detail
    assert found["unet-dice-b8"].detail == "x"
    assert len(ray.places) == 2
    assert ray.places[0].is_killed


def test_after_an_error_over_there_another_place_is_used(train, jobs):
    ray = FakeRay("one")
    first, error = jobs[0].run.key, raised_there(OSError("odd"))
    ray.train = lambda order: [error] if key_of(order) == first else fails(order)
    found = train(ray)
    assert found["unet-bce-b8"].detail == "odd"
    assert len(ray.places) == 2


def test_the_outcome_of_another_run_is_not_stored(train, jobs, study):
    ray = FakeRay("one")
    keys = [job.run.key for job in jobs]
    other = dict(zip(keys, reversed(keys), strict=True))
    ray.train = lambda order: [failed(other[key_of(order)])]
    found = train(ray)
    for job in jobs:
        assert found[job.name].detail == (
            f"a worker gave the outcome of run {other[job.run.key]} for run {job.run.key}; run again"
        )
    assert set(study.failed()) == set(keys)


class FakeChild:
    def __init__(self, *events):
        self._events, self.is_killed = events, False

    def send(self, line):
        pass

    def is_alive(self):
        return True

    def events(self):
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event

    def kill(self):
        self.is_killed = True

    def last_words(self):
        return "the worker process ended with signal 9", ""


def trained_there(jobs, tmp_path, monkeypatch, *events):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "there"))
    place = node.Place(1)
    place._child = child = FakeChild(*events)
    order = order_of(jobs[0], Watch())
    return child, place.train(order)


def test_a_worker_whose_run_broke_off_is_ended(jobs, tmp_path, monkeypatch):
    child, events = trained_there(
        jobs, tmp_path, monkeypatch, {"epoch": {}}, json.JSONDecodeError("x", "", 0)
    )
    with pytest.raises(json.JSONDecodeError):
        list(events)
    assert child.is_killed
    child, events = trained_there(jobs, tmp_path, monkeypatch, {"epoch": {}}, {"epoch": {}})
    next(events)
    events.close()  # nobody asks for the rest
    assert child.is_killed
    child, events = trained_there(jobs, tmp_path, monkeypatch, {"outcome": {}, "files": []})
    assert list(events) == [{"outcome": {}, "files": {}}]
    assert not child.is_killed
    child, events = trained_there(jobs, tmp_path, monkeypatch)
    assert list(events) == [{"died": ("the worker process ended with signal 9", "")}]


# Prepared data


def test_the_data_from_which_others_are_sent_are_never_discarded(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    there = prepared_data.place_of("data")
    there.mkdir(parents=True)
    (there / "images.npy").write_bytes(b"x")
    (tmp_path / "mounted").symlink_to(tmp_path / "cache")  # the same disk under another path
    for source in (there, tmp_path / "mounted" / "prepared" / "data"):
        assert not prepared_data.discard("data", prepared_data.same_folder(source))
        assert (there / "images.npy").is_file()
    another = (
        tmp_path / "another" / "prepared" / "data"
    )  # on another machine the same path may be another disk
    another.mkdir(parents=True)
    assert prepared_data.discard("data", prepared_data.same_folder(another))
    assert not there.exists()
    assert [each.name for each in there.parent.iterdir()] == []
    assert prepared_data.discard("data", prepared_data.same_folder(another))  # gone already


def test_data_are_discarded_only_under_their_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepared_data, "WAIT_S", 0.01)
    there = prepared_data.place_of("data")
    there.mkdir(parents=True)
    with (
        prepared_data.hold(there.with_name("data.lock"), "these data"),
        pytest.raises(UserError, match="working on"),
    ):
        prepared_data.discard("data", (0, 0))
    assert there.is_dir()


def test_data_that_are_gone_here_are_no_empty_listing(train, jobs, study):
    (jobs[0].prepared / prepared_data.INDEX).unlink()
    ray = FakeRay("one")
    ray.has = False
    found = train(ray)
    assert {each.reason for each in found.values()} == {"prepared data gone"}
    assert "host-one" not in str(study.failed())


@pytest.mark.parametrize("files", [[], [("images.npy", 3)]])
def test_a_listing_without_an_index_makes_no_folder(tmp_path, monkeypatch, files):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"index.json is not among"):
        prepared_data.fetch("data", files, lambda *_: None, lambda _: b"abc")
    assert not prepared_data.place_of("data").exists()


def test_a_file_of_another_size_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    files = [(prepared_data.INDEX, 2), ("images.npy", 5)]
    with pytest.raises(UserError, match=r"4 of 5 bytes of images.npy were sent|2 of 5|3 of 2"):
        prepared_data.fetch("data", files, lambda *_: None, lambda _: b"abcd"[:2])
    assert not prepared_data.place_of("data").exists()


def fetched(monkeypatch, tmp_path, error):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "there"))
    ray = FakeRay("one")
    monkeypatch.setattr(node, "import_ray", lambda: ray)

    def ask(*_):
        def raised():
            raise error

        return raised

    reader = SimpleNamespace(piece=SimpleNamespace(remote=ask))
    return node.Place(1).fetch("data", [(prepared_data.INDEX, 2)], reader)


def test_an_error_where_the_data_are_read_is_not_blamed_on_the_machine_that_fetches_them(
    monkeypatch, tmp_path
):
    for error in (PermissionError(13, "Permission denied"), ValueError("images.npy: not in data")):
        (kind,), (text,) = zip(*fetched(monkeypatch, tmp_path, raised_there(error)).items(), strict=True)
        assert kind == "not_sent"
        assert str(error) in text
    found = fetched(monkeypatch, tmp_path, OSError(28, "No space left on device"))
    assert set(found) == {"not_stored"}


def test_a_run_whose_data_cannot_be_read_here_fails_and_no_machine_is_left_out(train, said):
    ray = FakeRay("one")
    ray.has, ray.fetched = False, {"not_sent": "PermissionError: images.npy"}
    found = train(ray)
    assert all("cannot be sent (PermissionError: images.npy)" in str(each.detail) for each in found.values())
    assert not said


def test_data_that_were_altered_are_sent_again_and_the_run_is_not_awaited_meanwhile(train, jobs, monkeypatch):
    ray, told = FakeRay("one"), []
    first = iter([True])

    def events(order):
        if next(first, False):
            outcome = {"status": "failed", "reason": "prepared data gone", "detail": "altered"}
            return [{"outcome": {"key": key_of(order), **outcome}, "files": {}}]
        return fails(order)

    ray.train = events
    real = remote.Remote._deliver
    monkeypatch.setattr(remote.Remote, "_deliver", lambda self, job: told.append("sent") or real(self, job))
    watch = Watch(begin=lambda _: told.append("begin"), wait=lambda _: told.append("wait"))

    @contextmanager
    def connected(*_):
        yield ray, False

    monkeypatch.setattr(executor, "cluster", connected)
    list(executor.on_ray(jobs[:1], 1, watch))
    assert told == ["sent", "begin", "wait", "sent", "begin"]


# Runs that wait


def lack(said, *resources, unusable=(), is_own=False):
    machines = [{"Alive": True, "NodeID": str(n), "Resources": each} for n, each in enumerate(resources)]
    shared = SimpleNamespace(
        ray=SimpleNamespace(nodes=lambda: machines),
        needs={"num_cpus": 2, "num_gpus": 0, "memory": 8e9},
        unusable=dict(unusable),
        failed_starts=FailedStarts(),
        watch=Watch(say=lambda _job, text: said.append(text)),
        first=None,
        is_own=is_own,
    )
    return shared, executor._Lack(shared)


def test_after_what_is_lacking_was_said_it_is_still_looked_at(monkeypatch, said):
    monkeypatch.setattr(executor, "LACK_S", 0.0)
    shared, looks = lack(said, {"CPU": 1.0, "memory": 9e9})
    for _ in range(3):
        looks.look([])
    assert len(said) == 1
    assert said[0].endswith("2 CPUs and 8.0 GB of memory for a run: waiting for one that joins")
    shared.unusable["7"] = "gpu-7: its segstudy is older"
    with pytest.raises(UserError, match="no machine of the cluster can train: gpu-7: its segstudy is older"):
        looks.look([])


def test_a_cluster_of_our_own_that_lacks_memory_is_refused_with_what_helps(monkeypatch, said):
    monkeypatch.setattr(executor, "LACK_S", 0.0)
    _, looks = lack(said, {"CPU": 4.0, "memory": 6e9}, is_own=True)
    with pytest.raises(
        UserError, match=r"8.0 GB of memory for a run; the cluster .* has 4 CPUs and 6.0 GB of memory"
    ):
        looks.look([])
    assert not said


def test_a_cluster_of_our_own_has_the_cpus_of_a_run_on_any_machine(jobs, watch, monkeypatch):
    asked = []

    @contextmanager
    def connected(*given):
        asked.append(given)
        raise UserError("seen enough")
        yield

    monkeypatch.setattr(executor, "cluster", connected)
    jobs = [job.model_copy(update={"threads": 64}) for job in jobs]
    with pytest.raises(UserError, match="seen enough"):
        list(executor.on_ray(jobs, 1, watch))
    assert asked == [("", 64)]


# The address


class Connected:
    """A double of Ray that is connected to a cluster."""

    def __init__(self, address):
        self.address, self.num_shutdowns = address, 0
        self.util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.7")

    def is_initialized(self):
        return bool(self.address)

    def get_runtime_context(self):
        return SimpleNamespace(gcs_address=self.address)

    def shutdown(self):
        self.num_shutdowns += 1
        self.address = ""


def test_an_address_that_is_named_is_that_of_the_connection(monkeypatch):
    ray = Connected("10.0.0.7:6379")
    monkeypatch.setattr(cluster, "library", lambda: ray)
    monkeypatch.setattr(cluster, "_opened", set())
    for same in ("", "auto", "10.0.0.7:6379", "127.0.0.1:6379", "localhost:6379", "[::1]:6379"):
        assert cluster.connect(same)
    for other in ("10.0.0.8:6379", "10.0.0.7:6380", "local"):
        with pytest.raises(UserError, match=f"--ray-address is {other}, but .* cluster at 10.0.0.7:6379"):
            cluster.connect(other)
    assert not ray.num_shutdowns


def test_a_connection_of_an_earlier_call_of_ours_makes_way(monkeypatch):
    ray = Connected("10.0.0.7:6379")
    monkeypatch.setattr(cluster, "library", lambda: ray)
    monkeypatch.setattr(cluster, "_opened", {os.getpid()})
    assert not cluster.connect("local")  # one is to be started, whatever runs here
    assert ray.num_shutdowns == 1


def test_a_cluster_that_cannot_be_started_is_an_error_with_what_helps(monkeypatch):
    def init(**_):
        raise Exception("The current node timed out during startup.")  # as Ray does

    ray = Connected("")
    ray.init = init
    monkeypatch.setattr(cluster, "library", lambda: ray)
    monkeypatch.setattr(cluster, "_opened", set())
    with pytest.raises(UserError, match=r"cannot be started .*timed out.*end other programs and run again"):
        next(iter(cluster.cluster("local", 1).gen))
    assert ray.num_shutdowns == 1
    assert not cluster._opened


def test_local_starts_a_cluster_where_another_is_named_by_the_environment(monkeypatch):
    monkeypatch.setattr(cluster, "library", lambda: Connected(""))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    assert not cluster.connect("local")


# A cluster that asks for a token


def without_token(*_, **__):
    """As Ray's own client fails, and ``ray.init`` by it, where the token is missing or wrong."""
    os.write(2, b"gcs_client.cc:210: Unauthenticated: RPC error: InvalidAuthToken\n")
    raise import_ray().exceptions.AuthenticationError("RPC error: InvalidAuthToken")


@pytest.mark.parametrize(
    ("mode", "cure"),
    [("", "asks for a token: run `export RAY_AUTH_MODE=token`"), ("token", r"copy ~/\.ray/auth_token from")],
)
def test_a_cluster_that_asks_for_a_token_is_named_as_that_at_once(monkeypatch, capfd, mode, cure):
    ray = import_ray()
    monkeypatch.setattr(cluster, "library", lambda: ray)
    monkeypatch.setattr(cluster, "_refuse_silent", lambda _: None)
    monkeypatch.setattr(ray._raylet, "GcsClient", without_token)
    monkeypatch.setattr(token_setup(), "ensure_token_if_auth_enabled", lambda **_: None)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("ray.init would ask 20 times"))
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(UserError, match=f"the Ray cluster at 10.0.0.7:6379 .*{cure}"):
        cluster.connect("10.0.0.7:6379")
    assert not capfd.readouterr().err
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def token_setup():
    from ray._private.authentication import authentication_token_setup

    return authentication_token_setup


def test_a_cluster_here_with_another_token_is_no_reason_to_start_one_in_silence(monkeypatch):
    def init(**_):
        try:
            raise RuntimeError("Last connection error: ray.exceptions.AuthenticationError: RPC error")
        except RuntimeError as error:
            raise ConnectionError("Failed to connect to Ray cluster") from error

    ray = Connected("")
    ray.init = init
    monkeypatch.setattr(cluster, "library", lambda: ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(UserError, match=r"cluster on this machine asks for a token.*--ray-address local"):
        cluster.connect("")
    ray.init = lambda **_: (_ for _ in ()).throw(ConnectionError("Could not find any running Ray instance"))
    assert not cluster.connect("")  # there is none: one is to be started


# What other machines name


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a\\x", "C:x", "a\nx"])
def test_names_that_lead_elsewhere_are_refused_wherever_they_are_written(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path / "cache"))
    files = [(prepared_data.INDEX, 2), (name, 2)]
    with pytest.raises(UserError, match="must be"):
        prepared_data.fetch("data", files, lambda *_: None, lambda _: b"{}")
    with pytest.raises(UserError, match="must be"):
        prepared_data.place_of(name)
    with pytest.raises(UserError, match="must be"):
        placed({"loss": ("own.py:f", {name: b"x"})}, tmp_path / "code")
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "cache" / "x").exists()


def test_a_link_is_not_followed_to_another_folder(tmp_path):
    from segstudy.core.paths import inside

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path)
    assert inside(tmp_path / "folder", "a/b.npy") == tmp_path / "folder" / "a" / "b.npy"
    with pytest.raises(UserError, match="must be the name of a file in"):
        inside(tmp_path / "folder", "link/x")


def test_the_record_of_a_failure_must_be_that_of_the_run(train, study, jobs):
    ray = FakeRay("one")
    ray.train = lambda order: [{**failed(key_of(order)), "files": {"../../x.json": b"{}"}}]
    found = train(ray)
    assert all("sent ../../x.json for the failure of run" in str(each.detail) for each in found.values())
    ray.train = lambda order: [{**failed(key_of(order)), "files": {f"{key_of(order)}.json": b"{}"}}]
    assert all("validation error" in str(each.detail) for each in train(ray).values())
    assert len(study.failed()) == 2  # records that can be read


# Names of machines


def test_ray_s_texts_are_stored_without_names_and_addresses_of_machines(train, study):
    from ray.exceptions import RayActorError

    ray = FakeRay("one")
    text = "ray::Place.train() (pid=7, ip=10.1.2.3, host host-one.lab, [fd00::1:7]:80, fe80::1%eth0) host-one"
    ray.train = lambda _: [RayActorError(error_msg=text)]
    found = train(ray)
    assert {each.reason for each in found.values()} == {"worker died"}
    stored = " ".join((study.failures / f"{key}.json").read_text() for key in study.failed())
    for name in ("10.1.2.3", "host-one", "fd00", "fe80"):
        assert name not in stored
    assert "(machine)" in stored
    error = raised_there(ValueError("on host-one, 10.1.2.3"))
    ray.train = lambda _: [error]
    train(ray)
    stored = " ".join((study.failures / f"{key}.json").read_text() for key in study.failed())
    assert "on (machine), (machine)" in stored
    assert "10." not in stored


def test_a_run_that_is_held_elsewhere_is_recorded_without_the_host(train, study, jobs, monkeypatch):
    monkeypatch.setattr(remote, "LOCK_WAIT_S", 0.05)
    with remote.hold(study.run_lock(jobs[0].run.key), "this run"):
        found = train(FakeRay("one"))
    host = os.uname().nodename
    assert found["unet-bce-b8"].reason == "at work elsewhere"
    assert f"on host {host}" in str(found["unet-bce-b8"].detail)  # the user is told
    assert f"on host {host}" not in (study.failures / f"{jobs[0].run.key}.json").read_text()
