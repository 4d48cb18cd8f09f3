"""`compare` with too little says what is missing, and which names there are."""

import pytest
from fake_study import finish, make_study

import segstudy


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = make_study(tmp_path_factory.mktemp("compare") / "study", ("unet",), ("bce", "dice"))
    for name in ("unet-bce-b8", "unet-dice-b8"):
        finish(folder, name, 0.7, 0.6, seed=0)
    return folder.path


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ([], "two configurations are missing after .*: use one of unet-.*, unet-"),
        (["unet-bce-b8"], "a second configuration is missing after unet-bce-b8: use one of unet-dice-b8$"),
        (
            ["unet-bca-b8"],
            "no configuration 'unet-bca-b8', and a second is missing: .*did you mean unet-bce-b8",
        ),
        (["unet-bce-b8", "unet-dize-b8"], "no configuration 'unet-dize-b8': .*did you mean unet-dice-b8"),
    ],
)
def test_what_is_missing_is_named(study, named, message):
    with pytest.raises(segstudy.UserError, match=message):
        segstudy.compare(str(study), *named)


def test_one_configuration_twice_is_refused_also_by_another_path(study):
    name, again = "unet-bce-b8", study / ".." / study.name
    for call in ((str(study), name, name), (f"{study}:{name}", f"{again}:{name}")):
        with pytest.raises(segstudy.UserError, match=f"needs two different configurations, got {name} twice"):
            segstudy.compare(*call)


@pytest.mark.parametrize("call", [(), ("nowhere",), ("a", "b", "c", "d")])
def test_a_call_that_names_no_study_says_what_it_takes(call):
    with pytest.raises(segstudy.UserError, match="DIR A B"):
        segstudy.compare(*call)


def test_two_names_without_a_study_are_told_where_it_goes():
    message = "^unet-a is no study's folder; write segstudy compare STUDY unet-a unet-b"
    with pytest.raises(segstudy.UserError, match=message):
        segstudy.compare("unet-a", "unet-b")
