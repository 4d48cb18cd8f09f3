"""`remove` deletes what it says, after asking, and leaves a whole study."""

import io
import itertools

import pytest
from fake_study import fail, finish, make_study
from small import TINY, write_dataset

import segstudy
from segstudy.cli.studies import main
from segstudy.config.study import Study
from segstudy.core.locks import hold
from segstudy.study.removal import _subtract

NAMES = ("segnet-bce-b8", "segnet-dice-b8", "unet-bce-b8", "unet-dice-b8")


@pytest.fixture
def study(tmp_path):
    folder = make_study(tmp_path / "study", seeds=2)
    for place, name in enumerate(NAMES):
        for seed in range(2):
            finish(folder, name, 0.6 + place / 100, 0.6, seed=seed)
    for name in ("report.html", "leaderboard.csv"):
        (tmp_path / "study" / name).write_text("shows all")
    (tmp_path / "study" / "figures").mkdir()
    return folder


def names(folder, show_all=False) -> set[str]:
    return set(segstudy.Study(folder.path).leaderboard(show_all=show_all)["configuration"])


def test_a_configuration_goes_from_the_disk_and_from_study_toml(study):
    gone = segstudy.remove(study.path, "unet-bce-b8", yes=True)
    assert (gone.names, gone.num_runs) == (("unet-bce-b8",), 2)
    assert gone.num_bytes > 1000
    assert not any(path.exists() for path in gone.paths)
    assert names(study, show_all=True) == set(NAMES) - {"unet-bce-b8"}
    now = segstudy.status(study.path)
    assert (now.num_planned, now.num_finished, now.num_left) == (6, 6, 0)
    assert not any((study.path / name).exists() for name in ("report.html", "leaderboard.csv", "figures"))


def test_what_is_known_of_its_failures_goes_as_well(tmp_path):
    """The file of a failure does not say the key that it is named by."""
    folder = make_study(tmp_path / "study", seeds=2)
    finish(folder, "unet-bce-b8", 0.6, 0.6)
    fail(folder, "unet-bce-b8", seed=1)
    assert len(folder.failed()) == 1
    gone = segstudy.remove(folder.path, "unet-bce-b8", yes=True)
    assert gone.num_runs == 1
    assert not folder.failed()
    assert not folder.finished()


def test_without_agreement_nothing_is_touched(study):
    before = {path: path.stat().st_mtime_ns for path in study.path.rglob("*") if path.is_file()}
    seen = []
    for options in ({}, {"confirm": seen.append}):
        with pytest.raises(segstudy.UserError, match=r"would delete 2 runs of unet-bce-b8 in .* KB;"):
            segstudy.remove(study.path, "unet-bce-b8", **options)
    assert seen[0].num_runs == 2
    assert {path: path.stat().st_mtime_ns for path in study.path.rglob("*") if path.is_file()} == before


def test_what_the_study_no_longer_names_goes_and_nothing_else(study, tmp_path):
    make_study(tmp_path / "study", ("unet",), seeds=2)
    gone = segstudy.remove(study.path, unnamed=True, yes=True)
    assert set(gone.names) == {"segnet-bce-b8", "segnet-dice-b8"}
    assert gone.num_runs == 4
    assert names(study, show_all=True) == {"unet-bce-b8", "unet-dice-b8"}
    assert segstudy.remove(study.path, unnamed=True).paths == ()


def test_an_unnamed_configuration_can_go_by_its_name(study, tmp_path):
    make_study(tmp_path / "study", ("unet",), seeds=2)
    gone = segstudy.remove(study.path, "segnet-bce-b8", yes=True)
    assert gone.study is None
    assert names(study, show_all=True) == {"segnet-dice-b8", "unet-bce-b8", "unet-dice-b8"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({}, "one of the two"),
        ({"configuration": "unet-bce-b8", "unnamed": True}, "one of the two"),
        ({"configuration": "unet-bca-b8"}, "did you mean unet-bce-b8"),
    ],
)
def test_an_unclear_call_is_refused(study, call, message):
    with pytest.raises(segstudy.UserError, match=message):
        segstudy.remove(study.path, yes=True, **call)


def test_the_only_configuration_is_refused(tmp_path):
    folder = make_study(tmp_path / "study", ("unet",), ("bce",))
    finish(folder, "unet-bce-b8", 0.7, 0.6, seed=0)
    with pytest.raises(segstudy.UserError, match="delete that folder instead"):
        segstudy.remove(folder.path, "unet-bce-b8", yes=True)
    assert names(folder) == {"unet-bce-b8"}


def test_a_folder_that_is_no_study_and_one_that_is_at_work(study, tmp_path):
    with pytest.raises(segstudy.UserError, match="is not a study"):
        segstudy.remove(tmp_path, unnamed=True, yes=True)
    assert not (tmp_path / "study.lock").exists()
    with hold(study.lock, "this study"), pytest.raises(segstudy.UserError, match="is working on this study"):
        segstudy.remove(study.path, "unet-bce-b8", yes=True)
    assert names(study) == set(NAMES)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, 3), ("n\n", 130, 4), ("\n", 130, 4), ("", 130, 4)]
)
def test_the_command_says_what_goes_and_asks(study, monkeypatch, capsys, answer, code, left):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["remove", str(study.path), "unet-bce-b8"])
    assert (ended.value.code or 0) == code
    out, err = (" ".join(text.split()) for text in capsys.readouterr())
    assert "this will be deleted: 2 runs of unet-bce-b8" in err
    assert ("stopped: nothing was deleted" in err) == bool(code)
    assert "error:" not in err
    assert (f"the old report was deleted too: segstudy report {study.path} writes a new one" in out) != bool(
        code
    )
    assert len(names(study)) == left


def test_the_command_without_a_terminal_needs_yes(study, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(SystemExit) as ended:
        main(["remove", str(study.path), "unet-bce-b8"])
    assert ended.value.code == 2
    assert "--yes" in capsys.readouterr().err
    assert names(study) == set(NAMES)
    with pytest.raises(SystemExit) as ended:
        main(["remove", str(study.path), "unet-bce-b8", "--yes"])
    assert not ended.value.code
    assert "deleted: 2 runs of unet-bce-b8" in " ".join(capsys.readouterr().out.split())
    assert names(study) == set(NAMES) - {"unet-bce-b8"}


def test_every_point_of_a_grid_can_be_taken_out_and_the_others_stay():
    grid = {"architecture": ("a", "b"), "loss": ("x", "y", "z"), "batch_size": (4, 8)}
    points = [dict(zip(grid, levels, strict=True)) for levels in itertools.product(*grid.values())]
    for number in (1, 2, 5, 12):
        for gone in itertools.islice(itertools.combinations(points, number), 60):
            left = [
                dict(zip(piece, levels, strict=True))
                for piece in _subtract(grid, gone)
                for levels in itertools.product(*piece.values())
            ]
            assert len(left) == len(points) - number
            assert all(point in left for point in points if point not in gone)


def test_the_study_that_is_left_is_valid(study):
    segstudy.remove(study.path, "segnet-dice-b8", yes=True)
    left = segstudy.Study(study.path).config
    assert Study.model_validate(left.model_dump()) == left
    assert len(left.configurations()) == 3


@pytest.mark.slow
def test_a_trained_study_stays_whole_and_is_not_trained_again(tmp_path):
    data = write_dataset(tmp_path / "discs", n=12)
    options = {"architecture": "unet", "loss": ["bce", "dice"], "executor": "serial", "images": False}
    segstudy.run(data, out=tmp_path / "s", protocol="quick", **options, **TINY)
    gone = segstudy.remove(tmp_path / "s", "unet-dice-b8", yes=True)
    assert gone.num_bytes > 10_000
    assert not segstudy.verify(tmp_path / "s").faults
    segstudy.run(tmp_path / "s", executor="serial", images=False)
    now = segstudy.status(tmp_path / "s")
    assert (now.num_planned, now.num_finished, now.num_unnamed) == (1, 1, 0)
    page = segstudy.report(tmp_path / "s", images=False).read_text(encoding="utf-8")
    assert "removed (unet-dice-b8)" in page  # a change after the registration
    assert page.count("unet-dice-b8") == page.count("removed (unet-dice-b8)")
