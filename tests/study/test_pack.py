"""``segstudy pack`` and ``segstudy verify FILE``: one file, checked to the last byte without the data."""

import errno
import hashlib
import io
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import warnings
import zipfile
from collections import deque
from pathlib import Path

import polars as pl
import pytest
from failing_disk import FailingDisk
from fake_study import fail, finish, make_study, masks
from places import TESTS
from small import TINY, write_dataset
from trees import tree

import segstudy
from segstudy.cli.studies import main
from segstudy.core.errors import UserError
from segstudy.core.locks import hold
from segstudy.store.folder import StudyFolder
from segstudy.store.pack_record import MANIFEST, README
from segstudy.store.verify_pack import _check, _Reading
from segstudy.study.pack_privacy import personal_paths


def study_at(place: Path) -> Path:
    (place / "pictures").mkdir(parents=True)
    folder = make_study(place / "study", ("segnet", "unet"), ("bce",), seeds=2)
    for seed in range(2):
        finish(folder, "segnet-bce-b8", 0.7, 0.7, seed=seed, noise=0.01)
    finish(folder, "unet-bce-b8", 0.8, 0.8, seed=0, noise=0.01)
    where = f"in {place}/some/where/net.py, line 3"
    fail(folder, "unet-bce-b8", seed=1, reason="crashed", detail=where, log=f"Traceback:\n{where}")
    folder.checkpoints(min(folder.failed())).write(2, b"a state")
    masks(folder, "their-net", 0.6, {})
    (folder.path / "exports").mkdir()
    (folder.path / "exports" / "model.onnx").write_bytes(b"not packed")
    (folder.path / "forecast.json").write_text("{}")
    return folder.path


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a study and its pack."""
    place = tmp_path_factory.mktemp("packed") / "place"
    segstudy.pack(study_at(place), out=place / "study.zip")
    return place


@pytest.fixture(scope="module")
def content(made) -> bytes:
    return (made / "study.zip").read_bytes()


@pytest.fixture
def study(made, tmp_path) -> Path:
    return Path(shutil.copytree(made / "study", tmp_path / "study"))


def names_in(file: Path) -> set[str]:
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def unzipped(file: Path, place: Path) -> Path:
    """As any program unpacks it."""
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(place)
        return place / archive.namelist()[0].split("/")[0]


def test_equal_studies_give_equal_bytes(study, content, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    before = tree(study)
    for file in study.rglob("*"):
        os.utime(file, (1e9, 1e9))
    found = segstudy.pack(study, out=tmp_path / "elsewhere" / "other-name.zip")
    assert found.file.read_bytes() == content
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert tree(study) == before


def test_pictures_are_left_out_and_counted_and_weights_on_request(study, tmp_path):
    found = segstudy.pack(study, out=tmp_path / "a.zip")
    assert (found.num_runs, found.weights, found.images) == (3, True, False)
    assert found.left_out == {"predictions.parquet": 3, "thumbnails.parquet": 1}
    names = names_in(found.file)
    assert sum(name.endswith("model.safetensors") for name in names) == 3
    assert sum(name.endswith(".state") for name in names) == 1
    assert not [name for name in names if "exports" in name or "forecast" in name or name.endswith(".png")]
    found = segstudy.pack(study, out=tmp_path / "b.zip", weights=False)
    assert found.left_out == {
        **{"model.safetensors": 3, "predictions.parquet": 3},
        **{"saved states of unfinished runs": 1, "thumbnails.parquet": 1},
    }
    found = segstudy.pack(study, out=tmp_path / "c.zip", images=True)
    assert found.left_out == {}
    assert {"study/thumbnails.parquet", *(n for n in names if n.startswith("study/runs"))} < names_in(
        found.file
    )
    for name in "abc":
        verified = segstudy.verify(tmp_path / f"{name}.zip")
        assert (verified.num_runs, verified.faults, verified.is_pack) == (3, (), True)


def test_a_report_is_in_it_if_it_shows_no_pictures_and_all_runs(study, tmp_path):
    next((study / "failures").iterdir()).unlink()
    segstudy.report(study)
    found = segstudy.pack(study, out=tmp_path / "a.zip")
    assert found.left_out["reports with pictures"] == 1
    assert "study/report.html" not in names_in(found.file)
    segstudy.report(study, images=False)
    found = segstudy.pack(study, out=tmp_path / "a.zip")
    assert {"study/report.html", "study/leaderboard.csv"} < names_in(found.file)
    assert found.left_out.keys() == {"predictions.parquet", "thumbnails.parquet"}
    verified = segstudy.verify(found.file)
    assert (verified.faults, verified.unseen) == ((), ())
    finish(StudyFolder(study), "unet-bce-b8", 0.8, 0.8, seed=1, noise=0.01)
    assert segstudy.pack(study, out=tmp_path / "a.zip").left_out["outdated reports"] == 1


def test_nothing_of_this_machine_is_in_it(study, made, content, tmp_path):
    private = [str(made), str(study), str(tmp_path), str(Path.home()) + "/"]
    if len(socket.gethostname()) > 5:
        private.append(socket.gethostname())
    assert not [each for each in private if each.encode() in content]
    folder = unzipped(made / "study.zip", tmp_path / "x")
    assert 'data = "pictures"' in (folder / "study.toml").read_text()
    (failure,) = StudyFolder(folder).failed().values()
    assert failure.detail == "in net.py, line 3"


def test_no_machine_is_named_in_a_failure(study, tmp_path):
    folder = StudyFolder(study)
    fail(
        folder,
        "unet-bce-b8",
        seed=1,
        detail="its machine was lost 3 times, the last time gpu-of-ada",
        log="ray::Place.train() (pid=7, ip=10.1.2.3)",
    )
    packed = segstudy.pack(study, out=tmp_path / "a.zip").file.read_bytes()
    assert b"the last time (machine)" in packed
    assert b"gpu-of-ada" not in packed
    assert b"10.1.2.3" not in packed


@pytest.mark.parametrize(
    "path",
    [
        *("/home/ada/net.py", "C:\\Users\\ada\\net.py", "/Users/ada/net.py", "file:///home/ada/net.py"),
        *("../../srv/clinic/ada/net.py", "/mnt/ada/net.py", "a line\n/scratch/ada/net.py"),
        *("cc -I/home/ada/net.py", "../../data/ada/net.py", "../ada/net.py", "..\\ada\\net.py"),
        *("/nfs/ada/net.py", "/any/ada/net.py", "(/data/ada/net.py)", "D:\\data\\ada\\net.py"),
        *("\\\\clinic\\ada\\net.py", "PATH=/usr/bin:/data/ada/net.py", "größe /ü/ada/net.py"),
    ],
)
def test_a_file_that_names_a_users_folder_is_refused(study, tmp_path, path):
    data = json.loads((study / "data.json").read_text())
    data["terms"] = f"see {path}"
    (study / "data.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"data.json: contains .*ada.*net.py, a path of this machine"):
        segstudy.pack(study, out=tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_of_a_file_that_is_never_replaced_another_remedy_is_named(study, tmp_path):
    (study / "preregistration.json").write_text('{"loss": ["../../data/ada/net.py:Loss"]}')
    with pytest.raises(UserError, match=r"beside the study's folder, then train in a new folder \(this file"):
        segstudy.pack(study, out=tmp_path / "a.zip")


def test_ids_and_web_addresses_are_no_paths(study, tmp_path):
    data = json.loads((study / "data.json").read_text())
    data["terms"] = (
        "rooms/home/0001, https://example.org/home/ada, x-y/mnt/1, doi 10.1109/EMBC.2013.6610779, n/a / 1/2, "
        "../net.py:Net, ../../net.py, s/he, 3 /4/, CC BY-NC 4.0 (//x/y)"
    )
    (study / "data.json").write_text(json.dumps(data))
    assert segstudy.pack(study, out=tmp_path / "a.zip").num_runs == 3


@pytest.mark.parametrize("path", ["/nfs/ada/net.py", "../../data/ada/net.py", "-I/opt/ada/net.py"])
def test_paths_in_failures_are_cut(study, tmp_path, path):
    fail(StudyFolder(study), "unet-bce-b8", seed=1, detail=f"in {path}, line 3", log=f"cc {path}\n{path}")
    found = segstudy.pack(study, out=tmp_path / "a.zip").file.read_bytes()
    assert b"/ada" not in found
    (failure,) = StudyFolder(unzipped(tmp_path / "a.zip", tmp_path / "x")).failed().values()
    assert failure.detail.endswith("net.py, line 3")


def test_a_page_is_searched_without_its_programs_and_pictures():
    picture = "data:image/png;base64,/home/ada/x+/nfs/ada/y"
    page = f"<p>a</p><img src='{picture}'><script>x = (y)/a/b; /z/g</script><style>/a/b</style>"
    files = {"report.html": page.encode(), "a.parquet": b" /nfs/ada/x ", "figures/b.svg": b"<g></g>"}
    assert not list(personal_paths(files, []))
    for path in ("/home/ada/x", "/nfs/ada/x"):
        files["report.html"] = page.replace("x =", f'"{path}"').encode()
        assert list(personal_paths(files, [])) == [("report.html", path)]
    files["report.html"] = page.replace(">a<", "> /opt/ada/x <").encode()
    assert list(personal_paths(files, [])) == [("report.html", "/opt/ada/x")]


def test_no_run_begins_while_a_study_is_packed(study, tmp_path):
    stages = set()

    def stage(name: str, *_: int) -> None:
        if name in stages:  # once for each: what is refused has waited
            return
        stages.add(name)
        with pytest.raises(UserError, match=r"process .* is working on this study; wait until it is done"):
            segstudy.run(study, retry=True)

    segstudy.pack(study, out=tmp_path / "a.zip", stage=stage)
    assert {"checking the runs", "computing the checksums", "writing the pack"} <= stages
    assert not (study / "study.lock").exists()


def test_unzipped_it_is_the_study_again(study, made, tmp_path):
    folder = unzipped(made / "study.zip", tmp_path / "x")
    assert segstudy.verify(folder).faults == ()
    assert segstudy.table(folder, "csv") == segstudy.table(study, "csv")
    status, before = segstudy.status(folder), segstudy.status(study)
    assert (status.num_finished, status.num_failed, status.num_left) == (
        *(before.num_finished, before.num_failed),
        before.num_left,
    )
    found = segstudy.compare(str(folder), "unet-bce-b8", "segnet-bce-b8")
    assert found == segstudy.compare(str(study), "unet-bce-b8", "segnet-bce-b8")
    if shutil.which("sha256sum"):
        done = subprocess.run(["sha256sum", "-c", MANIFEST], cwd=folder, capture_output=True, check=True)
        assert done.stdout.count(b": OK") == len(tree(folder)) - 1
    segstudy.report(folder, images=False)
    assert segstudy.verify(folder).faults == ()


def test_packed_again_it_is_the_same_file(made, content, tmp_path):
    folder = unzipped(made / "study.zip", tmp_path / "x")
    again = segstudy.pack(folder, out=tmp_path / "again.zip")
    assert again.file.read_bytes() == content
    found = segstudy.pack(folder, out=tmp_path / "again.zip", images=True)  # there are none
    assert not found.images
    assert found.left_out["predictions.parquet"] == 3


def test_packed_again_it_counts_the_saved_states_that_it_lacks(study, tmp_path):
    first = segstudy.pack(study, out=tmp_path / "a.zip", weights=False)
    assert first.left_out["saved states of unfinished runs"] == 1
    folder = StudyFolder(unzipped(tmp_path / "a.zip", tmp_path / "x"))
    again = segstudy.pack(folder.path, out=tmp_path / "b.zip", weights=False)
    assert again.file.read_bytes() == first.file.read_bytes()
    (key,) = folder.failed()
    for epoch in (1, 2):
        folder.checkpoints(key).write(epoch, b"a newer state")
    again = segstudy.pack(folder.path, out=tmp_path / "b.zip")
    assert again.left_out["saved states of unfinished runs"] == 2, "the first pack had no weights"
    shutil.rmtree(folder.path / "checkpoints")
    finish(folder, "unet-bce-b8", 0.8, 0.8, seed=1, noise=0.01)
    again = segstudy.pack(folder.path, out=tmp_path / "b.zip")
    assert "saved states of unfinished runs" not in again.left_out


def test_packed_again_it_counts_nothing_that_is_in_it(study, tmp_path):
    next((study / "failures").iterdir()).unlink()
    segstudy.report(study)
    found = segstudy.pack(study, out=tmp_path / "a.zip")
    assert found.left_out["reports with pictures"] == 1
    folder = unzipped(tmp_path / "a.zip", tmp_path / "x")
    segstudy.report(folder, images=False)
    again = segstudy.pack(folder, out=tmp_path / "b.zip")
    assert "study/report.html" in names_in(again.file)
    assert "reports with pictures" not in again.left_out
    assert again.left_out["predictions.parquet"] == 3


def test_files_that_a_pack_left_out_are_no_fault_but_others_are(study, made, tmp_path):
    folder = unzipped(made / "study.zip", tmp_path / "x")
    run = folder / "runs" / min(StudyFolder(folder).finished())
    (run / "model.safetensors").unlink()
    (fault,) = segstudy.verify(folder).faults
    assert (fault.state, fault.detail) == ("incomplete", "model.safetensors missing")
    (run / "predictions.parquet").write_bytes(b"another")
    shutil.copy(study / "runs" / run.name / "model.safetensors", run)
    (fault,) = segstudy.verify(folder).faults
    assert (fault.state, fault.detail) == ("altered", "predictions.parquet changed (checksum)")
    record = json.loads((folder / "pack.json").read_text())
    (folder / "pack.json").write_text(json.dumps(record | {"weights": False}))
    assert {str(fault.path) for fault in segstudy.verify(folder).faults} > {"pack.json"}


def test_an_unzipped_pack_says_that_the_data_are_not_in_it_and_which_files_stay_as_they_were(made, tmp_path):
    folder = unzipped(made / "study.zip", tmp_path)
    for call in (segstudy.run, segstudy.plan):
        with pytest.raises(UserError, match="the data set is not there; give its folder with --data PATH"):
            call(folder, seeds=9)
    with pytest.raises(UserError, match="study: is the folder of a study, not of images; give the folder of"):
        segstudy.check(folder)
    assert f"This file and {MANIFEST} describe the study as it was packed" in (folder / README).read_text()


@pytest.mark.parametrize("command", ["table", "status", "report", "pack"])
def test_other_commands_say_that_a_pack_must_be_unzipped(made, command):
    with pytest.raises(UserError, match=r"study\.zip: is a file, .*; unzip a pack, then give the folder"):
        getattr(segstudy, command)(made / "study.zip")


def test_a_pack_without_pictures_is_not_merged(study, made, tmp_path):
    folder = unzipped(made / "study.zip", tmp_path / "x")
    with pytest.raises(UserError, match="was packed without weights or pictures"):
        segstudy.merge(study, folder, out=tmp_path / "c")
    segstudy.pack(study, out=tmp_path / "whole.zip", images=True)
    whole = unzipped(tmp_path / "whole.zip", tmp_path / "y")
    assert segstudy.merge(study, whole, out=tmp_path / "c").num_shared == 3


def test_what_is_no_study_or_damaged_is_refused(study, tmp_path):
    with pytest.raises(UserError, match="is not a study"):
        segstudy.pack(tmp_path, out=tmp_path / "a.zip")
    with pytest.raises(UserError, match="there is no folder"):
        segstudy.pack(study, out=tmp_path / "nowhere" / "a.zip")
    for name, better in (("both.tar", "both.zip"), ("both", "both.zip")):
        with pytest.raises(UserError, match=f"{name}: a pack is a zip file; .* such as {better}"):
            segstudy.pack(study, out=tmp_path / name)
    (tmp_path / "mine.zip").write_bytes(b"PK, but mine")
    with pytest.raises(UserError, match="is there already, and not written by pack"):
        segstudy.pack(study, out=tmp_path / "mine.zip")
    with (
        hold(StudyFolder(study).lock, "this study"),
        pytest.raises(UserError, match=r"study: process .* is working on this study; wait"),
    ):
        segstudy.pack(study, out=tmp_path / "a.zip")
    file = study / "runs" / min(StudyFolder(study).finished()) / "images.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"altered \(images.parquet changed \(checksum\)\); .*--repair"):
        segstudy.pack(study, out=tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def found_in(altered: bytes) -> list:
    """The faults of a pack, of which nothing is written."""
    reading = _Reading(io.BytesIO(altered), lambda _, pieces: deque(pieces, maxlen=0))
    _check(reading)
    return reading.faults


def frame(content: bytes) -> set[int]:
    """The positions of all bytes that are in no file: headers, directory and end."""
    places, end = set(range(len(content))), 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            begin = info.header_offset + 30 + len(info.filename.encode())
            end = begin + info.file_size
            places -= set(range(begin, end))
    assert end < len(content)
    return places


def one_byte_at_a_time(content: bytes, positions) -> None:
    assert not found_in(content)
    draws, altered = random.Random(0), bytearray(content)
    for position in positions:
        altered[position] ^= draws.randrange(1, 256)
        assert found_in(bytes(altered)), position
        altered[position] = content[position]


def test_one_altered_byte_is_found_in_every_kind_of_place(content):
    headers = sorted(frame(content))
    assert len(headers) > 3000
    one_byte_at_a_time(content, [*headers[::29], *headers[-60::3], *range(0, len(content), 1999)])


@pytest.mark.slow
def test_one_altered_byte_is_found_anywhere(content):
    one_byte_at_a_time(content, range(len(content)))


def test_the_altered_file_is_named(content, tmp_path):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
    for info in infos:
        begin = info.header_offset + 30 + len(info.filename)
        altered = bytearray(content)
        altered[begin + info.file_size // 2] ^= 1
        file.write_bytes(altered)
        (fault,) = segstudy.verify(file).faults
        assert (fault.state, fault.detail) == ("altered", "changed (checksum)")
        assert str(fault.path) == info.filename.removeprefix("study/")
    altered = bytearray(content)
    altered[infos[3].header_offset + 11] ^= 4  # the time in a header, which no other program reads
    file.write_bytes(altered)
    (fault,) = segstudy.verify(file).faults
    assert str(fault.path) == infos[3].filename.removeprefix("study/")
    assert "its header in the zip file" in fault.detail


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.7, 0.99, 0.9999])
def test_a_pack_that_is_cut_off_is_found(content, tmp_path, share):
    file = tmp_path / "a.zip"
    file.write_bytes(content[: int(len(content) * share)])
    details = [fault.detail for fault in segstudy.verify(file).faults]
    assert details
    assert details.count("is not a zip file, or cut off") == (share < 0.01), details
    assert details.count("its end is missing: the file was cut off") == (0.01 < share < 0.9), details


def with_added(content: bytes, tmp_path: Path, name: str, data: bytes = b"x", **about) -> Path:
    """A pack to which another program added a file."""
    file = tmp_path / "a.zip"
    file.write_bytes(content)
    info = zipfile.ZipInfo(name)
    for field, value in about.items():
        setattr(info, field, value)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        archive.writestr(info, data)
    return file


LINK = (stat.S_IFLNK | 0o777) << 16
ADDED = {
    "a file": ("study/runs/extra.txt", {}, "orphaned", "is not in the manifest"),
    "a file twice": ("study/study.toml", {}, "orphaned", "is 2 times in it"),
    "a file above": ("study/../../evil", {}, "orphaned", "leads out of the study's folder"),
    "a file at the root": ("/etc/evil", {}, "orphaned", "leads out of the study's folder"),
    "a file on a drive": ("study/C:evil", {}, "orphaned", "leads out of the study's folder"),
    "a file beside": ("other/evil", {}, "orphaned", "leads out of the study's folder"),
    "a link": ("study/evil", {"external_attr": LINK}, "altered", "is a link"),
    "a bomb": ("study/bomb", {"compress_type": zipfile.ZIP_DEFLATED}, "orphaned", "is not in the manifest"),
}


@pytest.mark.parametrize("what", ADDED)
def test_what_was_added_is_named_and_nothing_of_it_is_written(content, tmp_path, what):
    name, about, state, detail = ADDED[what]
    data = bytes(10**8) if what == "a bomb" else b"/etc/passwd"
    file = with_added(content, tmp_path, name, data, **about)
    found = segstudy.verify(file)
    assert (state, detail) in {(fault.state, fault.detail) for fault in found.faults}
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip"}


def rewritten(content: bytes, file: Path, leave_out: str = "", **how) -> Path:
    """The same files, as another program stores them."""
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", **how) as new:
        for info in old.infolist():
            if info.filename != leave_out:
                new.writestr(info.filename, old.read(info))
    return file


def test_files_that_another_program_stored_again_are_found(content, tmp_path):
    found = segstudy.verify(rewritten(content, tmp_path / "a.zip"))
    assert [fault.detail for fault in found.faults] == ["its header in the zip file is not as written"]
    found = segstudy.verify(rewritten(content, tmp_path / "b.zip", compression=zipfile.ZIP_DEFLATED))
    assert {fault.detail for fault in found.faults} >= {"is compressed: another program wrote the zip file"}
    for name in ("study/study.toml", f"study/{MANIFEST}"):
        assert segstudy.verify(rewritten(content, tmp_path / "c.zip", name)).faults


def forged(content: bytes, file: Path, change) -> Path:
    """A pack with changed files and a manifest that fits, as somebody makes it who knows the format."""
    from segstudy.study.pack import _archive, _parts
    from segstudy.study.pack_contents import Contents

    with zipfile.ZipFile(io.BytesIO(content)) as old:
        files = {name.removeprefix("study/"): old.read(name) for name in old.namelist()}
    del files[MANIFEST]
    change(files)
    parts = _parts(Contents("study", True, False, dict(files)), lambda *_: None)
    file.write_bytes(b"".join(_archive(parts, lambda *_: None)))
    return file


def test_a_manifest_that_fits_does_not_hide_what_contradicts_the_study(content, tmp_path):
    def better(files):
        name = next(name for name in files if name.endswith("run.json"))
        record = json.loads(files[name])
        record["summary"]["scores"]["test"]["native_iou"] = 0.99
        files[name] = json.dumps(record).encode()

    assert not segstudy.verify(forged(content, tmp_path / "a.zip", lambda _: None)).faults
    (fault,) = segstudy.verify(forged(content, tmp_path / "a.zip", better)).faults
    assert fault.detail == "run.json changed (checksum)"
    found = segstudy.verify(forged(content, tmp_path / "b.zip", lambda files: files.pop("study.toml")))
    assert [str(fault.path) for fault in found.faults] == ["study.toml"]
    found = segstudy.verify(forged(content, tmp_path / "c.zip", lambda files: files.pop("pack.json")))
    assert {fault.detail for fault in found.faults} == {"predictions.parquet missing"}


def test_a_pack_of_a_newer_version_is_no_fault(content, tmp_path, capsys):
    """Its exit code is 2, and the message names the file, not the temporary folder."""
    file = forged(content, tmp_path / "a.zip", lambda files: files.update({"pack.json": b'{"format": 2}'}))
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(file)])
    assert ended.value.code == 2
    expected = f"{file}: pack.json: format 2 belongs to a newer version; update segstudy"
    assert expected in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a\\..\\evil", "runs/../../evil", ".hidden", "a//b", ""]
)
def test_a_manifest_that_leads_elsewhere_is_refused(content, tmp_path, name):
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)

    def add(files):
        files[name] = b"evil"

    found = segstudy.verify(forged(content, place / "a.zip", add))
    assert MANIFEST in {str(fault.path) for fault in found.faults}
    assert not list(tmp_path.rglob("*evil*"))


def test_exit_codes(made, content, tmp_path, capsys):
    def code(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return ended.value.code

    assert code("verify", str(made / "study.zip")) == 0
    assert "3 runs checked: nothing wrong" in capsys.readouterr().out
    (tmp_path / "a.zip").write_bytes(content[:-1])
    assert code("verify", str(tmp_path / "a.zip")) == 1
    out = capsys.readouterr().out
    assert "the study in it was not opened, 1 fault; get the file again, or pack the study again" in out
    assert code("verify", str(tmp_path / "a.zip"), "--repair") == 2
    (tmp_path / "notes.txt").write_text("text")
    assert code("verify", str(tmp_path / "notes.txt")) == 2
    assert code("verify", str(made / "study.zip"), "--json") == 0
    capsys.readouterr()
    assert (
        code("pack", str(made / "study"), "--out", str(tmp_path / "b.zip"), "--no-weights", "--images") == 0
    )
    out = capsys.readouterr().out
    assert "not in it: model.safetensors (3), saved states of unfinished runs (1)" in out
    assert f"3 runs, {len(names_in(tmp_path / 'b.zip')):,} files, " in out
    assert f"{round((tmp_path / 'b.zip').stat().st_size / 1000)} KB" in out
    assert f"SHA-256 of the file: {hashlib.sha256((tmp_path / 'b.zip').read_bytes()).hexdigest()}" in out


@pytest.mark.parametrize("name", ["external/their-net/images.parquet", "baselines.parquet"])
def test_a_table_with_far_too_many_rows_is_a_fault_before_it_is_read(content, tmp_path, name):
    stream = io.BytesIO()
    pl.select(pl.repeat(0, 10_000_001, dtype=pl.UInt8).alias("id")).write_parquet(stream)
    assert len(stream.getvalue()) < 100_000

    def change(files):
        files[name] = stream.getvalue()

    found = segstudy.verify(forged(content, tmp_path / "a.zip", change))
    assert [fault.detail for fault in found.faults if "10,000,001 rows" in fault.detail]


MANIFESTS = {
    "a file within a file": {"runs": b"x"},
    "itself": {MANIFEST: b"x"},
    "a name that is too long": {"n" * 256: b"x"},
    "names that some systems take as equal": {"STUDY.toml": b"x"},
    "accents in two encodings": {"caf\u00e9": b"x", "cafe\u0301": b"x"},
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_no_system_can_unpack_is_a_fault(content, tmp_path, what):
    found = segstudy.verify(forged(content, tmp_path / "a.zip", lambda files: files.update(MANIFESTS[what])))
    assert MANIFEST in {str(fault.path) for fault in found.faults}


def test_only_a_full_disk_asks_for_space(made, monkeypatch):
    for number, is_named in ((errno.ENOSPC, True), (errno.EIO, False)):

        def stop(*_, number=number):
            raise OSError(number, "stopped")

        monkeypatch.setattr("segstudy.store.verify_pack._write", stop)
        with pytest.raises(UserError, match=r"cannot be checked \(stopped\)") as raised:
            segstudy.verify(made / "study.zip")
        assert ("TMPDIR" in str(raised.value)) == is_named


def test_what_is_packed_is_verified(study, tmp_path):
    for name in (".DS_Store", "a:b", "a\\b"):
        (study / "external" / "their-net" / name).write_bytes(b"x")
    shutil.copytree(study / "external" / "their-net", study / "external" / "net\u2028\u0085x")
    found = segstudy.pack(study, out=tmp_path / "a.zip")
    assert found.left_out["other files in external/"] == 6
    assert segstudy.verify(found.file).faults == ()
    (study / "external" / "their-net").rename(study / "external" / "their:net")
    with pytest.raises(UserError, match=r"their:net/.*: is not the path of a file that any system can write"):
        segstudy.pack(study, out=tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.slow
def test_an_unzipped_study_goes_on(tmp_path):
    data = write_dataset(tmp_path / "discs", n=12)
    options = {**TINY, "batch_size": 4, "executor": "serial", "threads": 1, "images": False, "epochs": 1}
    segstudy.run(data, out=tmp_path / "a", architecture="unet", loss="bce", **options)
    segstudy.pack(tmp_path / "a", out=tmp_path / "a.zip", weights=False)
    folder = unzipped(tmp_path / "a.zip", tmp_path / "x")
    before = tree(folder / "runs")
    segstudy.run(folder, data=data, loss="dice", executor="serial", threads=1)
    after = tree(folder / "runs")
    assert {name: after[name] for name in before} == before
    assert len(StudyFolder(folder).finished()) == 2
    page = (folder / "report.html").read_text()
    assert "The predicted masks of 1 further configuration were left out when the study was packed" in page
    assert segstudy.verify(folder).faults == ()


def killed(study: Path, place: Path, step: int) -> dict:
    command = [sys.executable, str(TESTS / "killing_disk.py"), str(step), str(place), "pack", str(study)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX systems can fork")
def test_a_kill_at_any_write_leaves_the_old_pack_or_none(study, tmp_path):
    (tmp_path / "new").mkdir()
    found = killed(study, tmp_path / "new" / "a.zip", step=1)
    assert found["kills"] > 60
    assert found["wrong"] == []


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_full_or_broken_disk_leaves_the_old_pack(study, content, tmp_path, monkeypatch, error, step):
    place = tmp_path / "new"
    place.mkdir()
    segstudy.pack(study, out=place / "a.zip", weights=False)
    old = (place / "a.zip").read_bytes()
    disk, failures = FailingDisk(place, monkeypatch), 0
    for at in range(0, 100_000, step):
        disk.fail(at, error)
        try:
            segstudy.pack(study, out=place / "a.zip")
        except UserError:
            failures += 1
            assert (place / "a.zip").read_bytes() in (old, content)
        if not disk.mend():
            break
        assert [path.name for path in place.iterdir()] == ["a.zip"]
        (place / "a.zip").write_bytes(old)
    assert failures > 60 / step
    assert (place / "a.zip").read_bytes() == content
