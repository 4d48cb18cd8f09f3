"""Studies, grids and runs as values: what is accepted, what is refused, and what enters a key."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from segstudy.config import runs
from segstudy.config import study as config
from segstudy.config.presets import PRESETS
from segstudy.config.protocol import SAME_FOR_ALL, Protocol
from segstudy.config.runs import Configuration, Run, configuration_names, spelled
from segstudy.config.study import Study, extend, override, planned_runs, preset_study
from segstudy.config.study_file import EXAMPLES, dump, load
from segstudy.core.errors import UserError

# A value other than the default for every field of the protocol, and what makes the field live.
OTHER: dict[str, tuple[Any, dict[str, Any]]] = {
    "image_size": (128, {}),
    "resize": ("pad", {}),
    "foreground": ([1, 2], {}),
    "masks": ("background=0", {}),
    "intensity": ("0..4095", {}),
    "split": ("official", {}),
    "split_seed": (1, {}),
    "train_frac": (0.5, {}),
    "width": (16, {}),
    "batch_size": (12, {}),
    "micro_batch": (4, {}),
    "budget": ("steps", {}),
    "epochs": (40, {}),
    "steps": (500, {"budget": "steps"}),
    "optimizer": ("adamw", {}),
    "lr": (0.01, {}),
    "momentum": (0.5, {"optimizer": "sgd"}),
    "weight_decay": (0.1, {}),
    "scheduler": ("cosine", {}),
    "plateau_on": ("val_iou", {}),
    "plateau_factor": (0.1, {}),
    "plateau_threshold": (0.1, {}),
    "plateau_patience": (8, {}),
    "augmentation": ("flips", {}),
    "select": ("last", {}),
    "precision": ("bfloat16", {}),
    "record_test": (False, {}),
    "nsd_tolerance": (0.005, {}),
    "classes": ("background=0,disc=1,cup=2", {}),
    "ignore": ((255,), {}),
    "channels": (4, {}),
    "class_weights": ("balanced", {"classes": "background=0,disc=1,cup=2"}),
    "overlap": (16, {"resize": "tiles"}),
}
IN_THE_PARTS = {"split", "split_seed"}  # they decide ids, and the ids are hashed


def run_of(
    architecture: str = "unet", loss: str = "bce", protocol: dict[str, Any] | None = None, **fields: Any
) -> Run:
    described = Configuration(
        architecture=architecture, loss=loss, protocol=Protocol.model_validate(protocol or {})
    )
    given = {"seed": 0, "fold": None, "data": "d", "split": "s", "numerics": {"loss": 1}, **fields}
    return Run(configuration=described, **given)


def planned(study: Study) -> list[Run]:
    return planned_runs(study, "d", lambda protocol, each: f"{protocol.split} {each.fold}", lambda _: {})


def keys(runs: Iterable[Run]) -> set[str]:
    return {run.key for run in runs}


CLASSIC = preset_study("classic", "s", "synthetic")


# Protocol


def test_every_field_of_the_protocol_is_in_this_table() -> None:
    assert set(OTHER) == set(Protocol.model_fields)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (128, (128, 128)),
        ("128", (128, 128)),
        ("96x128", (96, 128)),
        ("96X128", (96, 128)),
        ([96, 128], (96, 128)),
    ],
)
def test_a_size_is_written_in_several_ways(written: object, meant: tuple[int, int]) -> None:
    assert Protocol.model_validate({"image_size": written}).image_size == meant


@pytest.mark.parametrize(
    ("written", "meant"), [(1, (1,)), ("1", (1,)), ("1+2", (1, 2)), ([1, 2], (1, 2)), (None, None)]
)
def test_foreground_classes_are_written_in_several_ways(written: object, meant: object) -> None:
    """Also as the remedy for a multi-class mask has it: ``--set foreground=1``."""
    assert Protocol.model_validate({"foreground": written}).foreground == meant


WRONG: list[tuple[str, Any]] = [
    *(
        ("image_size", size)
        for size in (31, 0, -128, "128x", "x", "1x2x3", "big", [128], [1, 2, 3], 128.5, True, 10**9)
    ),
    *(("lr", lr) for lr in (0, -1e-3, float("nan"), float("inf"), "fast", True, None, [1e-3])),
    *(("batch_size", size) for size in (0, -8, 8.5, "eight", True, float("inf"))),
    *(("micro_batch", size) for size in (0, -8, 8.5, "eight", True, float("inf"))),
    *(("momentum", m) for m in (-0.1, 1.0, float("nan"))),
    *(("weight_decay", w) for w in (-1e-4, float("inf"), float("nan"))),
    *(("foreground", f) for f in ([], "one", True, [1.5], "")),
    *((name, value) for name in ("epochs", "steps", "width") for value in (0, -1, 1.5, True, float("nan"))),
    ("plateau_factor", 0),
    ("plateau_factor", 1),
    ("plateau_threshold", -0.1),
    ("plateau_patience", -1),
    ("split_seed", -1),
    ("split_seed", True),
    *(
        (name, "no such choice")
        for name in ("optimizer", "scheduler", "plateau_on", "augmentation", "select")
    ),
    *((name, "no such choice") for name in ("precision", "budget", "resize", "record_test")),
    ("no_such_field", 1),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda x: repr(x)[:20])
def test_what_a_field_does_not_take_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Protocol.model_validate({field: value})


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda x: repr(x)[:20])
def test_it_is_refused_in_one_line_that_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=field) as caught:
        override(CLASSIC, {field: [value]})
    assert len(str(caught.value).splitlines()) == 1


def test_values_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Protocol().lr = 1.0


# Keys


@pytest.mark.parametrize("field", [name for name in OTHER if name not in IN_THE_PARTS])
def test_every_live_field_is_in_the_key(field: str) -> None:
    value, makes_live = OTHER[field]
    assert run_of(protocol={**makes_live, field: value}).key != run_of(protocol=makes_live).key


IDLE = (
    [({"optimizer": optimizer}, "momentum") for optimizer in ("adam", "adamw")]
    + [
        ({"scheduler": scheduler}, field)
        for scheduler in ("cosine", "onecycle", "none")
        for field in ("plateau_on", "plateau_factor", "plateau_threshold", "plateau_patience")
    ]
    + [({"budget": "epochs"}, "steps"), ({"budget": "steps"}, "epochs"), ({}, "split"), ({}, "split_seed")]
)


@pytest.mark.parametrize(("setting", "idle"), IDLE)
def test_what_the_rest_of_the_protocol_leaves_idle_is_not_in_the_key(
    setting: dict[str, Any], idle: str
) -> None:
    assert run_of(protocol={**setting, idle: OTHER[idle][0]}).key == run_of(protocol=setting).key


@pytest.mark.parametrize("field", ["seed", "data", "split", "numerics", "architecture", "loss"])
def test_seed_data_parts_versions_architecture_and_loss_are_in_the_key(field: str) -> None:
    other = {"seed": 1, "numerics": {"loss": 2}}.get(field, "another")
    assert run_of(**{field: other}).key != run_of().key


def test_the_fold_enters_through_the_ids_of_its_parts_alone() -> None:
    assert run_of(fold=1).key == run_of(fold=None).key


def test_equal_spellings_have_equal_keys() -> None:
    assert (
        len({run_of(protocol={"image_size": size}).key for size in (128, "128", "128x128", [128, 128])}) == 1
    )
    assert run_of(protocol={"lr": 1}).key == run_of(protocol={"lr": 1.0}).key
    assert run_of(numerics={"a": 1, "b": 2}).key == run_of(numerics={"b": 2, "a": 1}).key


def test_the_folder_of_a_users_file_is_not_in_the_key() -> None:
    assert (
        run_of("here/my.py:Net", "here/my.py:loss").key == run_of("there/my.py:Net", "there/my.py:loss").key
    )
    assert run_of("here/my.py:Net").key != run_of("here/my.py:Other").key


def test_a_key_is_16_hex_digits_and_nothing_of_the_machine() -> None:
    assert len(run_of().key) == 16
    int(run_of().key, 16)


def test_a_field_added_later_is_hashed_only_when_it_departs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol with one field less stands for the older version."""
    described = Run.description

    def older(run: Run) -> dict[str, Any]:
        return {name: value for name, value in described(run).items() if name != "select"}

    with monkeypatch.context() as patch:
        patch.setattr(Run, "description", older)
        key_before = run_of().key
    assert run_of().key != key_before
    monkeypatch.setitem(runs.ADDED_LATER, "select", "val_iou")
    assert run_of().key == key_before
    assert run_of(protocol={"select": "last"}).key != key_before


# Studies


def test_classic_is_30_configurations() -> None:
    configurations = CLASSIC.configurations()
    assert len(configurations) == 30
    by_batch = {b: [c for c in configurations if c.protocol.batch_size == b] for b in (8, 12)}
    assert len(by_batch[8]) == 20
    assert {c.architecture for c in by_batch[12]} == {"segnet", "unet"}
    assert {c.loss for c in by_batch[12]} == {"bce", "focal", "dice", "tversky", "combo"}


def test_classic_is_the_original_protocol() -> None:
    protocol = CLASSIC.protocol
    assert (protocol.image_size, protocol.width, protocol.epochs, protocol.optimizer) == (
        (256, 256),
        64,
        80,
        "adam",
    )
    assert (protocol.lr, protocol.plateau_factor, protocol.plateau_threshold) == (1e-3, 0.5, 0.005)
    assert (protocol.plateau_patience, protocol.plateau_on, protocol.augmentation) == (3, "val_loss", "none")


def test_configurations_have_names_of_their_own() -> None:
    fields = {
        name: [getattr(CLASSIC.protocol, name), value]
        for name, (value, _) in OTHER.items()
        if name in ("lr", "image_size", "resize", "augmentation")
    }
    for study in (CLASSIC, override(CLASSIC, {**fields, "architecture": ["unet"], "loss": ["bce", "dice"]})):
        names = configuration_names(study.configurations())
        assert len(set(names)) == len(names)


def test_a_name_says_what_differs_and_no_more() -> None:
    assert configuration_names(CLASSIC.configurations())[0] == "segnet-bce-b8"
    study = override(
        CLASSIC, {"architecture": ["here/my.py:Net"], "loss": ["bce"], "image_size": [128, "96x128"]}
    )
    assert configuration_names(study.configurations()) == [
        "my.py:Net-bce-b8-image_size=128",
        "my.py:Net-bce-b8-image_size=96x128",
        "my.py:Net-bce-b12-image_size=128",
        "my.py:Net-bce-b12-image_size=96x128",
    ]
    classes = override(CLASSIC, {"architecture": ["unet"], "loss": ["bce"], "foreground": ["1", "1+2"]})
    assert configuration_names(classes.configurations())[1] == "unet-bce-b8-foreground=1+2"


@pytest.mark.parametrize(
    ("field", "value"), [("class_weights", "balanced"), ("micro_batch", 4), ("foreground", "1")]
)
def test_a_field_without_a_value_is_called_none(field: str, value: object) -> None:
    """It was ``class_weights=None`` in names, and ``none`` everywhere else."""
    fields = {"architecture": ["unet"], "loss": ["bce"], "batch_size": [8]}
    classes = {"classes": ["background=0,disc=1"]} if field == "class_weights" else {}
    point = override(CLASSIC, {**fields, **classes}).configurations()[0]
    protocol = Protocol.model_validate({**point.protocol.model_dump(), field: value})
    other = point.model_copy(update={"protocol": protocol})
    assert configuration_names([point, other]) == [
        f"unet-bce-b8-{field}=none",
        f"unet-bce-b8-{field}={value}",
    ]


def test_no_field_of_a_protocol_is_spelled_as_python_has_it() -> None:
    for name in Protocol.model_fields:
        assert spelled(name, None) == ("3" if name == "channels" else "none")


def test_equal_runs_of_several_grids_merge() -> None:
    grid = {"architecture": ("unet",), "loss": ("bce", "dice")}
    study = Study(name="s", data="d", protocol=Protocol(), grid=(grid, {**grid, "batch_size": (8, 12)}))
    assert len(study.configurations()) == 4
    assert len(planned(study)) == 4


def test_configurations_that_differ_in_an_idle_field_are_one_run() -> None:
    study = override(
        CLASSIC, {"architecture": ["unet"], "loss": ["bce"], "momentum": [0.1, 0.9], "batch_size": [8]}
    )
    assert len(planned(study)) == 1


def test_runs_are_configurations_times_seeds_times_folds_replicate_by_replicate() -> None:
    study = override(CLASSIC, {"seeds": [2], "folds": [4]})
    runs = planned(study)
    assert len(runs) == len(keys(runs)) == 30 * 2 * 4
    assert {(run.seed, run.fold) for run in runs[:30]} == {(0, 0)}
    assert {(run.seed, run.fold) for run in runs} == {(seed, fold) for seed in range(2) for fold in range(4)}


def test_another_loss_changes_no_other_key() -> None:
    assert keys(planned(CLASSIC)) < keys(planned(extend(CLASSIC, {"loss": ["focal:gamma=1"]})))


def test_more_seeds_keep_the_keys_of_the_first() -> None:
    assert keys(planned(CLASSIC)) < keys(planned(override(CLASSIC, {"seeds": [3]})))


def test_name_place_reader_and_margin_are_not_in_the_key() -> None:
    fields = {"name": ["t"], "data": ["elsewhere"], "reader": ["folder"], "margin": [0.02]}
    moved = override(CLASSIC, fields)
    assert moved.margin == 0.02
    assert keys(planned(moved)) == keys(planned(CLASSIC))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_study(preset: str) -> None:
    assert preset_study(preset, "s", "synthetic").configurations()


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(UserError, match="unknown protocol 'slow': use one of quick, classic, thorough"):
        preset_study("slow", "s", "synthetic")


# Options


def test_an_option_that_names_a_factor_replaces_it_in_every_grid() -> None:
    study = override(CLASSIC, {"loss": ["dice"], "batch_size": [4]})
    assert {(c.loss, c.protocol.batch_size) for c in study.configurations()} == {("dice", 4)}
    assert len(study.configurations()) == 4


def test_one_value_of_a_field_that_is_no_factor_is_the_protocols() -> None:
    study = override(CLASSIC, {"lr": ["0.01"]})
    assert study.protocol.lr == 0.01
    assert study.grid == CLASSIC.grid
    assert {c.protocol.lr for c in study.configurations()} == {0.01}


def test_several_values_make_a_factor() -> None:
    study = override(CLASSIC, {"lr": ["1e-2", "1e-3"]})
    assert len(study.configurations()) == 60


def test_fields_of_the_study_are_replaced() -> None:
    study = override(CLASSIC, {"seeds": ["3"], "exclude": ["IMD001", "IMD002"], "name": ["other"]})
    assert (study.seeds, study.exclude, study.name) == (3, ("IMD001", "IMD002"), "other")
    assert override(study, {"exclude": []}).exclude == ()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"los": ["dice"]},
            "unknown field 'los': did you mean loss. use one of architecture, loss",
        ),
        ({"seeds": [1, 2]}, "seeds takes one value, got 2"),
        ({"lr": []}, "lr has no value"),
        ({"margin": ["0.01", "0.02"]}, "margin takes one value, got 2"),
        ({"nsd_tolerance": [0.01, 0.02]}, "nsd_tolerance must be one value under .protocol., the same"),
        ({"nsd_tolerance": [0]}, "nsd_tolerance must be .* 0, got 0"),
        ({"margin": ["0"]}, "margin must be .* 0, got '0'"),
        ({"folds": [2]}, "folds must be 0, or 3 or more"),
        ({"folds": [4], "split_file": ["split.json"]}, "cannot be used together"),
        ({"lr": ["fast", "slow"]}, "lr"),
        ({"name": [".."]}, "would write into an existing folder"),
        ({"name": ["a/b"]}, "name"),
    ],
)
def test_a_wrong_option_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        override(CLASSIC, fields)


def test_options_add_to_a_study_that_is_there() -> None:
    small = override(CLASSIC, {"architecture": ["unet"], "loss": ["bce"], "batch_size": [8]})
    more = extend(small, {"loss": ["dice"]})
    assert [(c.architecture, c.loss) for c in more.configurations()] == [("unet", "bce"), ("unet", "dice")]
    assert more.protocol == small.protocol
    longer = extend(small, {"epochs": [10]})
    assert [c.protocol.epochs for c in longer.configurations()] == [80, 10]


def test_another_tolerance_is_for_all_and_adds_no_grid() -> None:
    study = extend(CLASSIC, {"nsd_tolerance": [0.005]})
    assert {c.protocol.nsd_tolerance for c in study.configurations()} == {0.005}
    assert study.grid == CLASSIC.grid


def test_adding_what_is_there_adds_nothing() -> None:
    for fields in ({"loss": ["bce"]}, {"loss": ["dice", "bce"]}, {"batch_size": [8]}, {}):
        assert extend(CLASSIC, fields) == CLASSIC


def test_adding_twice_is_adding_once() -> None:
    once = extend(CLASSIC, {"loss": ["focal:gamma=1"]})
    assert extend(once, {"loss": ["focal:gamma=1"]}) == once


def test_seeds_are_raised_not_added() -> None:
    assert extend(CLASSIC, {"seeds": [5]}) == override(CLASSIC, {"seeds": [5]})


# Study files

GRID = '[[grid]]\narchitecture = ["unet"]\nloss = ["bce"]\n'


def load_text(folder: Path, text: str) -> Study:
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return load(folder / "study.toml")


def test_what_a_file_leaves_out_comes_from_the_preset(tmp_path: Path) -> None:
    study = load_text(tmp_path, 'data = "images"\npreset = "quick"\nseeds = 2\n[protocol]\nepochs = 3\n')
    assert study.protocol == Protocol.model_validate({**PRESETS["quick"]["protocol"], "epochs": 3})
    assert study.seeds == 2
    assert len(study.configurations()) == 20
    assert study.name == tmp_path.name


def test_a_file_of_another_name_names_the_study(tmp_path: Path) -> None:
    (tmp_path / "skin.toml").write_text('data = "images"')
    assert load(tmp_path / "skin.toml").name == "skin"


def test_paths_are_relative_to_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").mkdir()
    monkeypatch.chdir("/")
    study = load_text(
        tmp_path / "studies",
        'data = "../images"\nsplit_file = "split.json"\n' + GRID.replace("unet", "my.py:Net:depth=3"),
    )
    assert study.data == str(tmp_path / "images")
    assert study.split_file == str(tmp_path / "studies" / "split.json")
    assert study.grid[0]["architecture"] == (f"{tmp_path / 'studies' / 'my.py'}:Net:depth=3",)


@pytest.mark.parametrize("data", ["synthetic", "synthetic:n=60:seed=1"])
def test_the_embedded_set_has_no_path(tmp_path: Path, data: str) -> None:
    assert load_text(tmp_path, f'data = "{data}"').data == data


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load_text(tmp_path, '\ufeffdata = "images"').data == str(tmp_path / "images")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "data is missing: a folder, or synthetic"),
        ('data = "d"\ndata = "e"', "is not a TOML file: Cannot overwrite a value"),
        ("data = ", "is not a TOML file"),
        (f"data = {'9' * 5000}", "is not a TOML file"),
        (f"data = {'[' * 5000}", "is not a TOML file"),
        ("data = 3", "data must be text, got 3"),
        ('data = "d"\npreset = "slow"', "unknown preset 'slow': use one of quick, classic, thorough"),
        ('data = "d"\npreset = ["quick"]', "unknown preset .'quick'.: use one of"),
        (
            'data = "d"\nsed = 3',
            "unknown field 'sed': did you mean seeds. use one of name, data, reader",
        ),
        ('data = "d"\nseeds = 0', "seeds must be .*at least 1, got 0"),
        ('data = "d"\nseeds = true', "seeds must be a number, got True"),
        ('data = "d"\nfolds = 2', "folds must be 0, or 3 or more"),
        ('data = "d"\nexclude = "IMD001"', r'exclude must be a list, as exclude = \["IMD001"\], got'),
        ('data = "d"\nprotocol = 3', r"protocol must be a table, under \[protocol\], got 3"),
        (
            'data = "d"\n[protocol]\nlrr = 3',
            "unknown field 'protocol.lrr': did you mean lr. use one of image_size",
        ),
        ('data = "d"\n[protocol]\nlr = -1', "protocol.lr must be .*greater than 0, got -1"),
        ('data = "d"\n[protocol]\nlr = nan', "protocol.lr must be .*finite number, got nan"),
        ('data = "d"\n[protocol]\nlr = [1]', r"protocol.lr must be .*number, got \[1\]"),
        (
            'data = "d"\n[protocol]\nimage_size = "12y"',
            "image_size must be N or HxW, such as 128 or 96x128, got '12y'$",
        ),
        ('data = "d"\n[protocol]\nimage_size = 16', "image_size must be .*at least 32, got 16$"),
        (
            'data = "d"\n[protocol]\noptimizer = "adm"',
            "optimizer must be .*or 'sgd', got 'adm'",
        ),
        ('data = "d"\ngrid = 3', r"grid: grids are tables under \[\[grid\]\], got 3"),
        ('data = "d"\ngrid = []', r"there is no grid: write at least one \[\[grid\]\]"),
        ('data = "d"\n' + GRID.replace("[[grid]]", "[grid]"), r"grids are tables under \[\[grid\]\]"),
        ('data = "d"\n' + GRID + "lr = 0.1", r"grid.0.lr must be a list, as lr = \[0.1\], got 0.1$"),
        ('data = "d"\n' + GRID + "lr = []", "factor 'lr' of a grid has no values"),
        ('data = "d"\n' + GRID + "lr = [-1]", "lr must be .*greater than 0, got -1"),
        ('data = "d"\n' + GRID + "lr = [nan]", "grid.0.lr.0 must be a number, .* got nan$"),
        ('data = "d"\n' + GRID + "lr = [2020-01-01]", "grid.0.lr.0 must be a number"),
        (
            'data = "d"\n' + GRID + "lrr = [1]",
            "unknown factor 'lrr' in a grid: did you mean lr. use one of architecture",
        ),
        ('data = "d"\n[[grid]]\nloss = ["bce"]', "every grid must name its architecture and loss"),
    ],
)
def test_a_wrong_file_is_told_of_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        load_text(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(str(tmp_path / "study.toml"))


def test_no_file_a_folder_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; `segstudy init` prints one"):
        load(tmp_path / "study.toml")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-16 text; save it as UTF-8"):
        load(tmp_path / "study.toml")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(["unet", "bce", "quick", "official", "128", "my.py:Net", "synthetic", "", ".."])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def without_none(value: Any) -> Any:
    """TOML has no null: where there would be one, nothing is written."""
    if isinstance(value, dict):
        return {name: without_none(inner) for name, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def tables(names: Iterable[str]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(sorted(names)) | st.text(max_size=3), ANYTHING, max_size=3)


FILES = st.fixed_dictionaries(
    {"data": st.just("d") | ANYTHING},
    optional={
        "protocol": tables(Protocol.model_fields) | ANYTHING,
        "grid": st.lists(
            st.fixed_dictionaries({"architecture": st.just(["unet"]) | ANYTHING, "loss": st.just(["bce"])})
            | tables(config.FACTORS),
            max_size=2,
        )
        | ANYTHING,
        **{name: ANYTHING for name in Study.model_fields if name not in ("data", "protocol", "grid")},
        "more": ANYTHING,
    },
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(FILES)
def test_whatever_a_file_says_it_is_a_study_or_one_line_for_the_user(tmp_path_factory, content: dict) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    try:
        study = load_text(folder, tomlkit.dumps(without_none(content)))
    except UserError as error:
        assert len(str(error).splitlines()) == 1, error  # noqa: PT017 (either outcome is right)
    else:
        assert study.configurations()


@given(st.text())
def test_whatever_text_is_no_study_is_told_of(tmp_path_factory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "texts"
    folder.mkdir(exist_ok=True)
    with pytest.raises(UserError):
        load_text(folder, text)


WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=["Cc"]), min_size=1, max_size=9
)
PATHS = WORDS.filter(
    lambda word: word not in (".", "..") and not word.startswith("synthetic") and ".py:" not in word
)
VALUES = {
    name: [value, getattr(Protocol(), name)]
    for name, (value, _) in OTHER.items()
    if getattr(Protocol(), name) is not None
}


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Any valid study, its paths absolute as ``load`` leaves them."""
    here = Path.cwd()
    fields = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=5))
    varying = sorted(VALUES.keys() - set(SAME_FOR_ALL))
    factors = draw(st.lists(st.sampled_from(varying), unique=True, max_size=2))
    component = st.sampled_from(["unet", "unet:skips=false", f"{here / 'own files' / 'my.py'}:Net:depth=3"])
    grid = {
        "architecture": tuple(draw(st.lists(component, min_size=1, max_size=2, unique=True))),
        "loss": tuple(draw(st.lists(st.sampled_from(["bce", "focal:gamma=1.0"]), min_size=1, unique=True))),
        **{name: tuple(list(v) if isinstance(v, tuple) else v for v in VALUES[name]) for name in factors},
    }
    folds = draw(st.sampled_from([0, 3, 4]))
    return Study(
        name=draw(PATHS),
        data=draw(st.just("synthetic:n=60") | PATHS.map(lambda word: os.path.normpath(here / word))),
        reader=draw(st.none() | st.just("folder")),
        preset=draw(st.sampled_from(list(PRESETS))),
        seeds=draw(st.integers(1, 9)),
        folds=folds,
        exclude=tuple(draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3))),
        split_file=None if folds else draw(st.none() | PATHS.map(lambda word: os.path.normpath(here / word))),
        protocol=Protocol.model_validate(
            {"lr": draw(st.floats(1e-12, 100)), **{name: VALUES[name][0] for name in fields}}
        ),
        grid=(grid, {**grid, "loss": ("dice",)}),
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(studies(), st.booleans())
def test_a_study_written_and_read_is_the_same_study(tmp_path_factory, study: Study, comments: bool) -> None:
    folder = tmp_path_factory.getbasetemp() / "written"
    folder.mkdir(exist_ok=True)
    text = dump(study, folder, comments)
    again = load_text(folder, text)
    assert again == study
    assert keys(planned(again)) == keys(planned(study))
    assert dump(again, folder, comments) == text


def test_a_written_study_may_move_with_its_data(tmp_path: Path) -> None:
    before = override(CLASSIC, {"data": [str(tmp_path / "a" / "images")]})
    (tmp_path / "a" / "study").mkdir(parents=True)
    (tmp_path / "a" / "study" / "study.toml").write_text(dump(before, tmp_path / "a" / "study"))
    assert str(tmp_path) not in dump(before, tmp_path / "a" / "study")
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert load(tmp_path / "b" / "study" / "study.toml").data == str(tmp_path / "b" / "images")


def test_levels_given_as_text_are_stored_as_the_field_holds_them(tmp_path: Path) -> None:
    """Command lines give text; keys are those of the numbers, and older study files read the same."""
    given = {"batch_size": ["8", "12"], "lr": ["1e-3", "0.01"], "record_test": ["true", "false"]}
    study = override(CLASSIC, given)
    assert study.grid[0]["batch_size"] == (8, 12)
    assert study.grid[0]["lr"] == (0.001, 0.01)
    assert study.grid[0]["record_test"] == (True, False)
    text = dump(study, tmp_path)
    assert "batch_size = [8, 12]" in text
    assert study == override(
        CLASSIC, {"batch_size": [8, 12], "lr": [0.001, 0.01], "record_test": [True, False]}
    )
    older = text.replace("batch_size = [8, 12]", 'batch_size = ["8", "12"]')
    (tmp_path / "older.toml").write_text(older, encoding="utf-8")
    (tmp_path / "now.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "older.toml") == load(tmp_path / "now.toml")


def test_text_that_is_no_number_is_refused_as_before() -> None:
    with pytest.raises(UserError, match="batch_size"):
        override(CLASSIC, {"batch_size": ["8", "many"]})


def test_a_written_study_says_everything_and_explains_it_when_asked(tmp_path: Path) -> None:
    plain, commented = (dump(CLASSIC, tmp_path, comments) for comments in (False, True))
    left_out = {name for name, value in CLASSIC.protocol.model_dump().items() if value is None}
    assert left_out == {
        "channels",
        "class_weights",
        "classes",
        "foreground",
        "ignore",
        "micro_batch",
        "overlap",
    }
    for name in Protocol.model_fields.keys() - left_out:
        assert f"\n{name} = " in plain
    assert "#" not in plain
    assert "adam | adamw | sgd" in commented
    assert load_text(tmp_path, commented) == CLASSIC


# The template that `segstudy init` prints


def test_a_template_has_every_field_and_reads_as_the_study(tmp_path: Path) -> None:
    text = dump(CLASSIC, tmp_path, comments=True)
    names = {line.removeprefix("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    assert {*Study.model_fields, *Protocol.model_fields} - {"protocol", "grid"} <= names
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path / "study.toml").protocol == CLASSIC.protocol


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_line_of_a_template_is_valid_without_its_mark(tmp_path: Path, name: str) -> None:
    lines = dump(CLASSIC, tmp_path, comments=True).splitlines()
    (place,) = [i for i, line in enumerate(lines) if line.startswith(f"# {name} = ")]
    lines[place] = lines[place].removeprefix("# ")
    needed = {"class_weights": 'classes = "background=0,disc=1,cup=2"', "overlap": 'resize = "tiles"'}
    if name in needed:
        lines = [line for line in lines if not line.startswith(needed[name].split(" = ")[0])]
        lines.insert(lines.index("[protocol]") + 1, needed[name])
    (tmp_path / "study.toml").write_text("\n".join(lines), encoding="utf-8")
    study = load(tmp_path / "study.toml")
    assert getattr(study if name in Study.model_fields else study.protocol, name) is not None
