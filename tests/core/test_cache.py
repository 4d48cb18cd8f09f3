"""A cache that two users share: it works where their rights let it, and where not it says what to do."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from small import write_dataset

pytestmark = pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.geteuid() != 0, reason="only root can become two other users"
)
ADA, BOB, GROUP = 65533, 65532, 65534
PREPARE = """
import os, sys
from segstudy.data.datasets import read
from segstudy.data.fingerprint import fingerprint
from segstudy.data.prepared import open_prepared, prepare
from segstudy.core.errors import UserError
uid, umask, size, data = int(sys.argv[1]), int(sys.argv[2], 8), int(sys.argv[3]), sys.argv[4]
cache, os.environ["SEGSTUDY_CACHE"] = os.environ["SEGSTUDY_CACHE"], sys.argv[5]
samples = read(data).samples  # once as root: Python's own files may be root's alone, and are all imported now
open_prepared(prepare(samples, fingerprint(samples), (16, 16), "squash"))
os.environ["SEGSTUDY_CACHE"] = cache
os.umask(umask)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(uid, uid, uid)
try:
    samples = read(data).samples
    folder = prepare(samples, fingerprint(samples), (size, size), "squash")
    print("images", len(open_prepared(folder).images))
except UserError as error:
    print("refused", error)
"""


@pytest.fixture
def place():
    """A folder that everybody may enter: pytest's own is root's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def shared(place):
    """A cache for a group."""
    cache = place / "cache"
    cache.mkdir()
    os.chown(cache, ADA, GROUP)
    cache.chmod(0o2775)
    return cache


@pytest.fixture
def prepared_by(place, shared):
    data = write_dataset(place / "data", n=4)
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)

    def prepare(user: int, umask: str, size_px: int = 32, source: str = str(data)) -> str:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                PREPARE,
                str(user),
                umask,
                str(size_px),
                source,
                tempfile.mkdtemp(dir=place),
            ],
            env={**os.environ, "SEGSTUDY_CACHE": str(shared), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if "PermissionError" in done.stderr and str(shared) not in done.stderr:
            pytest.skip(f"other users may not read this Python: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return prepare


@pytest.mark.slow
@pytest.mark.parametrize("source", ["folder", "synthetic:n=4"])
def test_with_rights_for_the_group_both_read_and_write(prepared_by, shared, source):
    data = {} if source == "folder" else {"source": source}
    for user, size_px in ((ADA, 32), (BOB, 32), (BOB, 40), (ADA, 40)):
        assert prepared_by(user, "002", size_px, **data) == "images 4"
    folders = [path for path in shared.rglob("*") if path.is_dir()]
    assert folders
    assert all(path.stat().st_mode & 0o7777 == 0o2775 for path in folders)
    assert {path.stat().st_uid for path in (shared / "prepared").iterdir()} == {ADA, BOB}


@pytest.mark.slow
def test_without_rights_for_the_group_one_reads_and_is_told_what_to_do_for_more(prepared_by):
    assert prepared_by(ADA, "022") == "images 4"
    assert prepared_by(BOB, "022") == "images 4"
    said = prepared_by(BOB, "022", 40)
    assert said.startswith("refused")
    assert "Permission denied" in said
    assert "set SEGSTUDY_CACHE to another folder" in said


def test_of_a_cache_that_may_not_even_be_read_one_is_told_what_to_do(prepared_by):
    assert prepared_by(ADA, "077") == "images 4"
    said = prepared_by(BOB, "077")
    assert said.startswith("refused")
    assert "set SEGSTUDY_CACHE to another folder" in said


@pytest.mark.slow
def test_altered_data_of_another_user_are_refused_and_not_used(prepared_by, shared):
    assert prepared_by(ADA, "022") == "images 4"
    (file,) = shared.glob("prepared/*/images.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    said = prepared_by(BOB, "022")
    assert "is damaged and cannot be removed" in said
    assert "set SEGSTUDY_CACHE to another folder" in said
    assert prepared_by(ADA, "022") == "images 4"
    assert prepared_by(BOB, "022") == "images 4"
