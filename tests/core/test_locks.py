"""Locks name their holder, end with their process and leave nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from segstudy.core.atomic_files import DiskError
from segstudy.core.errors import UserError
from segstudy.core.locks import HeldError, hold, holder, is_held

HOLD = "import sys, time; from pathlib import Path; from segstudy.core.locks import hold\n"
HOLD += "with hold(Path(sys.argv[1]), 'x'):\n    print('held', flush=True); time.sleep(60)\n"


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "locks" / "a"


@pytest.fixture
def other(lock):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_is_told_who_holds_it(lock, other):
    assert is_held(lock)
    with (
        pytest.raises(HeldError, match=f"process {other.pid} on host {socket.gethostname()}"),
        hold(lock, "it", 0.1),
    ):
        pass
    assert issubclass(HeldError, UserError)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_holder_holds_nothing(lock, other, ending):
    other.send_signal(ending)
    other.wait()
    assert lock.is_file()
    assert not is_held(lock)
    with hold(lock, "it"):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()


def test_who_waits_gets_it_when_it_is_let_go(lock, other):
    threading.Timer(0.3, other.kill).start()
    with hold(lock, "it", wait_s=10):
        assert holder(lock).startswith(f"process {os.getpid()} ")


def test_threads_of_one_process_exclude_each_other(lock):
    inside, most = 0, []

    def work():
        nonlocal inside
        for _ in range(20):
            with hold(lock, "it", wait_s=30):
                inside += 1
                most.append(inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert not lock.exists()


def test_it_is_let_go_when_the_work_fails(lock):
    with pytest.raises(KeyError), hold(lock, "it"):
        raise KeyError
    assert not is_held(lock)


def test_a_copy_of_a_held_lock_holds_nothing(lock, other, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(lock.read_bytes())
    assert not is_held(copy)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_holder_that_does_not_say_who_it_is(lock, content):
    lock.parent.mkdir()
    lock.write_text(content)
    assert holder(lock) == "another process"


def test_a_folder_in_its_place_is_one_line(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(DiskError, match="cannot be written"), hold(tmp_path / "lock", "it", 0.1):
        pass


# Where there is no flock

NO_FLOCK = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")
fcntl.flock = flock
"""
LOOK = "import sys; from pathlib import Path; from segstudy.core.locks import hold, is_held\n"
LOOK += "file = Path(sys.argv[1]); print(is_held(file), flush=True)\n"
LOOK += "with hold(file, 'it', float(sys.argv[2])):\n    print('mine', is_held(file))\nprint(file.exists())\n"


def look(lock, wait_s: float = 0.5) -> subprocess.CompletedProcess:
    """Another process without flock: is it held, may I hold it, is it gone afterwards?"""
    command = [sys.executable, "-W", "error", "-c", NO_FLOCK + LOOK, str(lock), str(wait_s)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def other_without_flock(lock):
    command = [sys.executable, "-W", "error", "-c", NO_FLOCK + HOLD, lock]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_without_flock_a_living_holder_holds(lock, other_without_flock):
    """Also from one who waits longer than filelock takes to give up a record that it cannot read (2 s)."""
    found = look(lock, wait_s=3.5)
    assert found.stdout == "True\n"
    assert (
        f"process {other_without_flock.pid} on host {socket.gethostname()} is working on it" in found.stderr
    )
    assert other_without_flock.poll() is None


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_without_flock_a_dead_holder_holds_nothing(lock, other_without_flock, ending):
    other_without_flock.send_signal(ending)
    other_without_flock.wait()
    assert lock.is_file()
    found = look(lock)
    assert found.stdout == "False\nmine True\nFalse\n", found.stderr


def test_without_flock_another_process_of_the_same_number_holds_nothing(lock, other_without_flock):
    """Its number is given again, to a process that lives but started at another time."""
    pid, host, started = lock.read_text().splitlines()
    other_without_flock.kill()
    other_without_flock.wait()
    lock.write_text(f"{os.getpid()}\n{host}\n{started}\n")
    found = look(lock)
    assert found.stdout == "False\nmine True\nFalse\n", found.stderr
    assert pid != str(os.getpid())


def test_without_flock_a_holder_on_another_host_is_believed_and_one_is_told_what_to_do(lock):
    lock.parent.mkdir()
    lock.write_text("4711\nada\n12345\n")
    found = look(lock)
    assert found.stdout == "True\n"
    assert "process 4711 on host ada is working on it" in found.stderr
    assert f"delete {lock}" in found.stderr
