"""What `status` says of the time to go: by kind of network, with its basis, and never a guess."""

import pytest
from fake_study import configuration_of, fail, finish, make_study, run_of, stored_parts

import segstudy
from segstudy.cli.folders import status
from segstudy.store.checkpoints import Progress
from segstudy.study.duration import Expected, Forecast, write_forecast

SIZES = {"image_size": [32, 256], "batch_size": [8]}


def study(tmp_path):
    """segnet and unet at 32 and 256 pixels with bce: four configurations."""
    folder = make_study(tmp_path / "s", losses=("bce",))
    text = (folder.path / "study.toml").read_text()
    assert "batch_size = [8]" in text
    (folder.path / "study.toml").write_text(
        text.replace("batch_size = [8]", "batch_size = [8]\nimage_size = [32, 256]")
    )
    return folder


NAMES = [f"{net}-bce-b8-image_size={size}" for net in ("segnet", "unet") for size in (32, 256)]
TINY, LARGE = NAMES[0], NAMES[1]


def forecast(folder, finished: str) -> dict[str, str]:
    """What `run` keeps: a second for each tiny network, nine hours for each large one; keys by name."""
    parts = stored_parts(folder, None)
    keys = {name: run_of(configuration_of(folder, name), 0, None, parts).key for name in NAMES}
    assert keys[TINY] == finished
    runs = {
        key: Expected(
            kind=name.replace("bce", ""), seconds=1.0 if "=32" in name else 9 * 3600.0, num_epochs=80
        )
        for name, key in keys.items()
    }
    write_forecast(folder.path, Forecast(workers=1, runs=runs))
    return keys


def test_a_tiny_finished_run_says_nothing_about_large_ones(tmp_path):
    folder = study(tmp_path)
    forecast(folder, finish(folder, TINY, 0.5, 0.5))  # it took 60 s
    now = segstudy.status(folder.path)
    assert now.seconds_to_go > 17.9 * 3600
    assert "3 from steps timed before the training" in now.time_basis


def test_without_a_forecast_what_is_not_known_is_not_guessed(tmp_path, capsys):
    folder = study(tmp_path)
    finish(folder, TINY, 0.5, 0.5)
    now = segstudy.status(folder.path)
    assert now.seconds_to_go is None
    assert "not known for 3 of 3 runs left" in now.time_basis
    assert "segstudy plan" in now.time_basis


def test_runs_at_work_count(tmp_path):
    folder = study(tmp_path)
    keys = forecast(folder, finish(folder, TINY, 0.5, 0.5))
    state = folder.checkpoints(keys[LARGE])
    state.write(20, b"state")
    state.note(Progress(epoch=20, num_epochs=80, seconds=4 * 3600.0))  # 12 minutes an epoch
    now = segstudy.status(folder.path)
    assert now.num_begun == 1
    unet = 9 * 3600 * (4 * 3600 + 914.9) / (9 * 900 + 914.9)  # slower as well, as far as that weighs
    assert now.seconds_to_go == pytest.approx(60 * 12 * 60 + unet, rel=0.05)
    assert "1 from the epochs of active runs" in now.time_basis


def test_of_equal_networks_the_finished_ones_tell(tmp_path):
    folder = make_study(tmp_path / "s", losses=("bce", "dice"), seeds=2)
    for name in ("segnet-bce-b8", "unet-bce-b8"):
        finish(folder, name, 0.5, 0.5)  # 60 s each
    now = segstudy.status(folder.path)
    assert now.seconds_to_go == pytest.approx(6 * 60)
    assert "6 from finished runs" in now.time_basis


def test_what_diverged_is_not_waited_for_and_a_done_study_has_nothing_to_go(tmp_path):
    folder = make_study(tmp_path / "s", losses=("bce",))
    finish(folder, "segnet-bce-b8", 0.5, 0.5)
    fail(folder, "unet-bce-b8", reason="diverged")
    assert segstudy.status(folder.path).seconds_to_go == 0


def test_a_forecast_of_other_runs_is_passed_over_also_if_there_are_as_many(tmp_path):
    folder = make_study(tmp_path / "s", losses=("bce", "dice"))
    finish(folder, "segnet-bce-b8", 0.5, 0.5)
    finish(folder, "unet-bce-b8", 0.5, 0.5)
    for num in (1, 2, 3):
        other = {f"{n:016x}": Expected(kind="x", seconds=1e6, num_epochs=3) for n in range(num)}
        write_forecast(folder.path, Forecast(workers=1, runs=other))
        assert segstudy.status(folder.path).seconds_to_go == pytest.approx(120)


def test_failures_and_states_of_runs_that_the_study_does_not_name_are_counted_apart(tmp_path, capsys):
    folder = make_study(tmp_path / "s", losses=("bce",))
    fail(folder, "unet-bce-b8", reason="crashed")
    fail(folder, "segnet-bce-b8", reason="crashed", version=2)  # of an older training loop
    other = run_of(configuration_of(folder, "unet-bce-b8"), 7, None, stored_parts(folder, None))
    folder.checkpoints(other.key).write(1, b"state")
    now = segstudy.status(folder.path)
    assert (now.num_failed, now.num_begun, len(now.failures)) == (1, 0, 1)
    assert (now.num_unnamed_failed, now.num_unnamed_begun) == (1, 1)
    assert status(folder.path) == 1
    shown = capsys.readouterr().out
    assert "also 1 failed, 1 started and saved, which study.toml does not name" in " ".join(shown.split())


def test_a_damaged_note_of_a_run_at_work_stops_nothing(tmp_path):
    folder = study(tmp_path)
    keys = forecast(folder, finish(folder, TINY, 0.5, 0.5))
    folder.checkpoints(keys[LARGE]).write(20, b"state")
    (folder.path / "checkpoints" / keys[LARGE] / "progress.json").write_text('{"epoch": ')
    assert segstudy.status(folder.path).seconds_to_go > 17 * 3600
