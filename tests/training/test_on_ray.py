"""The executor on Ray, without a cluster: bookkeeping, own code, prepared data and states on their way."""

import builtins
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from segstudy.core import libraries
from segstudy.core.errors import UserError
from segstudy.data.hashed_arrays import PreparedDataGoneError
from segstudy.data.prepared import open_prepared, prepare
from segstudy.data.samples import Sample
from segstudy.store.checkpoints import Checkpoints
from segstudy.store.folder import StudyFolder
from segstudy.store.trained_elsewhere import stored_files, write_trained_elsewhere
from segstudy.study.choices import command
from segstudy.study.machine import choose_machine
from segstudy.training.executors import EXECUTORS, Executor, Option
from segstudy.training.executors.on_ray import cluster, prepared_data
from segstudy.training.executors.on_ray.bookkeeping import FailedStarts, Losses, Waiting, num_new
from segstudy.training.executors.on_ray.executor import lacking
from segstudy.training.executors.on_ray.own_code import own_code, placed


class FakeJob:
    def __init__(self, name, prepared):
        self.name, self.prepared = name, Path(prepared)


def waiting(*jobs) -> Waiting:
    return Waiting([FakeJob(name, prepared) for name, prepared in jobs])  # type: ignore[list-item]


def test_a_machine_gets_the_first_run_whose_data_it_has_and_else_the_first_of_all():
    jobs = waiting(("a", "small"), ("b", "large"), ("c", "small"))
    assert [jobs.take({"large"}).name for _ in range(3)] == ["b", "a", "c"]  # type: ignore[union-attr]
    assert jobs.take({"large"}) is None


def test_a_run_that_comes_back_is_the_next_one():
    jobs = waiting(("a", "x"), ("b", "x"))
    first = jobs.take(())
    assert first is not None
    jobs.put_back(first)
    assert len(jobs) == 2
    assert jobs.take(()) is first


def test_a_run_is_given_up_only_if_it_loses_its_machine_again_and_again_without_progress():
    losses = Losses(most=3)
    assert [losses.is_too_many("run", 0) for _ in range(3)] == [False, False, True]
    losses = Losses(most=3)
    assert [losses.is_too_many("run", epoch) for epoch in (0, 0, 1, 2, 2, 3)] == [False] * 6
    assert [losses.is_too_many("other", 2) for _ in range(3)] == [False, False, True]


def test_a_machine_that_starts_no_places_is_given_up_at_once_only_if_the_reason_is_ours():
    """A machine that died takes many places with it within seconds."""
    starts = FailedStarts(most=5, patience_s=120)
    assert not any(starts.is_too_many("a", False, now) for now in (*range(20), 119))
    assert starts.is_too_many("a", False, 120)
    starts.reset("a")
    assert not starts.is_too_many("a", False, 300)
    starts = FailedStarts(most=5, patience_s=120)
    assert [starts.is_too_many("a", True, 0) for _ in range(5)] == [False] * 4 + [True]
    assert not starts.is_too_many("b", True, 0)


def test_of_a_machine_that_is_not_known_no_reason_ends_the_study_at_once():
    starts = FailedStarts(most=5, patience_s=120)
    assert not any(starts.is_too_many("", True, now) for now in range(20))
    assert starts.is_too_many("", True, 120)


@pytest.mark.parametrize(
    ("waits", "at_work", "pending", "most", "new"),
    [
        (10, 0, 0, 0, 10),  # as many as there are runs
        (100, 0, 0, 0, 64),  # at most so many that wait for a place
        (100, 4, 64, 0, 0),
        (3, 4, 1, 0, 2),  # one that waits will take one of the three
        (100, 4, 0, 6, 2),  # --workers 6
        (100, 6, 2, 6, 0),
        (0, 4, 2, 0, 0),
    ],
)
def test_so_many_more_places_are_asked_for(waits, at_work, pending, most, new):
    assert num_new(waits, at_work, pending, most, most_pending=64) == new


def test_a_machine_has_room_for_a_run_if_it_has_cores_and_a_share_of_a_gpu():
    machines = [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 3.0, "GPU": 1.0}, {"CPU": 8.0}]
    assert cluster.num_places(machines, threads=2, gpus=0) == 8 + 1 + 4
    assert cluster.num_places(machines, threads=2, gpus=0.25) == 8 + 1
    assert cluster.num_places(machines, threads=1, gpus=0.1) == 16 + 3
    assert cluster.num_places([{"CPU": 1.0}], threads=4, gpus=0) == 1  # it is waited for


def test_what_no_machine_has_is_said():
    machines = [{"CPU": 4.0, "memory": 8e9}, {"CPU": 16.0, "memory": 2e9}]
    assert not lacking(machines, {"num_cpus": 4, "num_gpus": 0, "memory": 8e9})
    said = lacking(machines, {"num_cpus": 8, "num_gpus": 0.5, "memory": 8e9})
    assert said.startswith("no machine of the cluster has 8 CPUs, 0.5 GPUs and 8.0 GB of memory")


@pytest.mark.parametrize(
    ("device", "share", "message"),
    [
        ("cpu", 0.5, "needs --device cuda, got cpu"),
        ("cuda", -1.0, "must be from 0 to 1 or a whole number, got -1"),
        ("cuda", 1.5, "must be from 0 to 1 or a whole number, got 1.5"),
    ],
)
def test_impossible_shares_of_a_gpu_are_refused(device, share, message):
    with pytest.raises(UserError, match=message):
        cluster.gpus_of_run(device, share)


def test_a_run_on_a_gpu_asks_for_a_whole_one_unless_told_otherwise():
    given = (("cpu", 0.0), ("cuda", 0.0), ("cuda", 0.25))
    assert [cluster.gpus_of_run(*each) for each in given] == [0, 1, 0.25]


# Options and errors


def test_options_are_those_of_the_record_in_its_types():
    ray = EXECUTORS["ray"]
    assert ray.checked({"gpus_per_run": "0.25"}) == {"gpus_per_run": 0.25}
    assert ray.checked({"gpus_per_run": 1}) == {"gpus_per_run": 1.0}
    for wrong, message in {"gpus_per_run": "must be a finite number", "ray_address": "must be text"}.items():
        with pytest.raises(UserError, match=message):
            ray.checked({wrong: [1]})
    for wrong in ("nan", "inf", "-inf", float("nan"), float("inf")):
        with pytest.raises(UserError, match="must be a finite number"):
            ray.checked({"gpus_per_run": wrong})
        with pytest.raises(UserError, match="must be a whole number"):
            Option("nodes", 1, "Nodes.").checked(wrong)
    with pytest.raises(
        UserError, match="serial has no option gpus_per_run; it is an option of --executor ray"
    ):
        EXECUTORS["serial"].checked({"gpus_per_run": 1})
    with pytest.raises(
        UserError, match="ray has no option nothing; its options are ray_address, gpus_per_run"
    ):
        ray.checked({"nothing": 1})
    with pytest.raises(UserError, match="--gpus-per-run needs --executor ray"):
        choose_machine(executor_options={"gpus_per_run": 1.0})


def test_a_plug_ins_executor_has_options_and_room_of_its_own():
    record = Executor(
        name="mine",
        description="mine",
        function=f"{__name__}:trained_with",
        is_parallel=True,
        options=(Option("partition", "short", "The partition."), Option("nodes", 1, "Nodes.")),
    )
    found = record.checked({"nodes": "3", "partition": "long"})
    sys.modules.setdefault(__name__, sys.modules[trained_with.__module__])
    assert list(record.train([], 2, None, found)) == [{"nodes": 3, "partition": "long"}]  # type: ignore[arg-type]
    with pytest.raises(UserError, match="nodes must be a whole number, got 'many'"):
        record.checked({"nodes": "many"})


def trained_with(_jobs, _workers, _watch, **options):
    yield options


def test_a_call_with_options_of_an_executor_can_be_written_as_a_command():
    options = {"executor": "ray", "executor_options": {"ray_address": "head:6379", "nodes": 3}}
    assert command("data", options) == (
        "segstudy run data --executor ray --ray-address head:6379 --executor-option nodes=3"
    )


def run(*words, **env):
    """`segstudy run`, refused before anything is read."""
    done = subprocess.run(
        [sys.executable, "-m", "segstudy", "run", "--executor", "ray", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_without_ray_the_error_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    with pytest.raises(
        UserError, match=r"needs Ray \(No module named 'ray'\): pip install 'segstudy\[ray\]'"
    ):
        choose_machine(executor="ray")


@pytest.mark.slow
def test_an_address_at_which_nothing_answers_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert f"no Ray cluster answers at 127.0.0.1:{port}" in run("--ray-address", f"127.0.0.1:{port}")
    for wrong in ("ray://head:10001", "head", "head:port"):
        with pytest.raises(UserError, match="must be HOST:PORT"):
            cluster._refuse_silent(wrong)
    assert not list(tmp_path.iterdir())


def test_ray_sends_no_statistics_of_usage(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    libraries.ray()
    from ray._common.usage.usage_lib import usage_stats_enabled

    assert not usage_stats_enabled()


# What travels


def test_own_code_is_placed_with_what_it_imports_and_named_there(tmp_path):
    own = tmp_path / "mine"
    (own / "parts").mkdir(parents=True)
    (own / "net.py").write_text("import parts.blocks\nclass Net: ...\n")
    (own / "parts" / "__init__.py").write_text("")
    (own / "parts" / "blocks.py").write_text("SIZE = 3\n")
    (own / "other.py").write_text("secret = 1\n")

    class Configuration:
        architecture = f"{own}/net.py:Net:depth=2"
        loss = "bce"

    code = own_code(Configuration)
    assert set(code) == {"architecture"}
    (spelled,) = placed(code, tmp_path / "there").values()
    place = Path(spelled.split(":")[0])
    assert spelled.endswith("net.py:Net:depth=2")
    assert {file.relative_to(place.parent).as_posix() for file in place.parent.rglob("*.py")} == {
        "net.py",
        "parts/__init__.py",
        "parts/blocks.py",
    }
    assert placed(code, tmp_path / "there")["architecture"] == spelled  # where it is already


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    from small import write_dataset

    folder = tmp_path_factory.mktemp("prepared")
    data = write_dataset(folder / "set", n=4)
    samples = [
        Sample(id=file.stem, image=file, mask=data / "masks" / file.name, group=file.stem)
        for file in sorted((data / "images").iterdir())
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSTUDY_CACHE", str(folder / "cache"))
        return prepare(samples, "fingerprint", (32, 32), "squash")


def contents(folder):
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def brought(prepared, lost=None, hole=b""):
    """Bring prepared data here, one piece replaced by a hole, and say which pieces were asked for."""
    asked = []

    def ask(name, start):
        asked.append((name, start))
        return name, start

    def get(place):
        return prepared_data.piece(prepared, *place) if place != lost else hole

    is_new = prepared_data.fetch(prepared.name, prepared_data.listing(prepared), ask, get)
    return is_new, asked


def test_prepared_data_arrive_whole_in_pieces_and_once(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    monkeypatch.setattr(prepared_data, "PIECE_BYTES", 1000)
    is_new, asked = brought(prepared)
    there = prepared_data.place_of(prepared.name)
    assert is_new
    assert len(asked) > len({name for name, _ in asked})  # several pieces of a file
    assert contents(there) == contents(prepared)
    open_prepared(there)
    assert brought(prepared) == (False, [])


def test_prepared_data_that_arrive_with_a_hole_are_noticed(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))
    monkeypatch.setattr(prepared_data, "PIECE_BYTES", 1000)
    with pytest.raises(UserError, match=r"11416 of 12416 bytes of images.npy were sent"):
        brought(prepared, lost=("images.npy", 2000))
    assert not prepared_data.place_of(prepared.name).exists()
    brought(prepared, lost=("images.npy", 2000), hole=bytes(1000))
    with pytest.raises(PreparedDataGoneError):
        open_prepared(prepared_data.place_of(prepared.name))


def test_a_transfer_that_breaks_off_leaves_nothing(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGSTUDY_CACHE", str(tmp_path))

    def broken(_):
        raise EOFError

    with pytest.raises(EOFError):
        prepared_data.fetch(prepared.name, prepared_data.listing(prepared), lambda *_: None, broken)
    assert not prepared_data.place_of(prepared.name).exists()
    assert brought(prepared)[0]


def test_only_the_prepared_data_can_be_read(prepared):
    with pytest.raises(ValueError, match="not in"):
        prepared_data.piece(prepared, "../../set/images/disc00.png", 0)


def test_a_state_that_is_altered_on_its_way_is_not_stored(tmp_path):
    here, there = Checkpoints(tmp_path / "here"), Checkpoints(tmp_path / "there")
    there.write(3, b"weights")
    here.write_copy(3, there.newest().read_bytes())
    assert here.newest().read_bytes() == there.newest().read_bytes()
    with pytest.raises(ValueError, match="altered"):
        here.write_copy(4, there.newest().read_bytes()[:-1])
    assert here.newest().name == "000003.state"


def test_a_run_that_is_altered_on_its_way_is_not_stored(tmp_path):
    import polars as pl

    there, here = StudyFolder(tmp_path / "there"), StudyFolder(tmp_path / "here")
    there.write_run("key", {"name": "unet"}, {"epochs": pl.DataFrame({"epoch": [1]})}, {"model.json": b"{}"})
    files = {file.name: file.read_bytes() for file in stored_files(there, "key")}
    for name, content in files.items():
        with pytest.raises(UserError, match="altered"):
            write_trained_elsewhere(here, "key", files | {name: content.replace(b"e", b"f") + b" "})
    with pytest.raises(UserError, match="altered"):
        write_trained_elsewhere(here, "another", files)
    assert not here.runs.exists()
    write_trained_elsewhere(here, "key", files)
    assert contents(here.runs) == contents(there.runs)


def test_ray_prints_nothing_about_machines_among_our_lines():
    libraries.ray()
    from ray._private.ray_logging import stdout_deduplicator

    batch = {"lines": ["The node was marked dead", ""], "pid": "raylet", "is_err": False}
    assert not any(each["lines"] for each in stdout_deduplicator.deduplicate(batch))
    assert libraries.SKIP_LINES not in os.environ


def test_a_failure_is_written_down_in_a_folder_that_has_nothing_yet(tmp_path):
    folder = StudyFolder(tmp_path / "scratch")
    folder.write_failure("key", {"reason": "crashed"})
    (file,) = stored_files(folder, "key")
    assert json.loads(file.read_text()) == {"reason": "crashed"}
