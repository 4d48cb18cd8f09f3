"""`segstudy compare-sets` on made studies: what is common, what differs, answered or refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_study import finish, make_study

import segstudy
from segstudy.analysis.matched_sets import matched_sets
from segstudy.analysis.seed_plan import SeedPlan
from segstudy.analysis.sets_text import answers, limits
from segstudy.cli.studies import main
from segstudy.config.runs import configuration_names
from segstudy.core.errors import UserError
from segstudy.reporting.sets_table import render
from segstudy.store.looks import LookPlan, Looks

MEANS = {"unet-dice": 0.80, "unet-bce": 0.77, "segnet-dice": 0.70, "segnet-bce": 0.68}


def made(path, place, means=MEANS, *, seeds=3, skip=(), shift=0.0, noise=0.01, images=True, **fields):
    """A study on data of its own, in which each configuration has its mean."""
    names = dict.fromkeys(name.split("-")[0] for name in means)
    losses = dict.fromkeys(name.split("-")[1] for name in means)
    folder = make_study(path, tuple(names), tuple(losses), seeds=seeds, **fields)
    data = f"{place:016x}"
    record = json.loads((path / "data.json").read_text())
    record |= {"name": f"set{place}", "fingerprint": data}
    if images:
        record["samples"] = [
            {**each, "image": f"{data}{each['id']}", "mask": f"m{data}{each['id']}"}
            for each in record["samples"]
        ]
    folder.write_json("data.json", record)
    configurations = folder.study().configurations()
    for name, each in zip(configuration_names(configurations), configurations, strict=True):
        key = f"{each.architecture}-{each.loss}"
        if name in skip or key not in means:
            continue
        for seed in range(seeds):
            finish(folder, name, means[key] + shift, means[key] + shift, seed=seed, noise=noise, data=data)
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    other = {**MEANS, "unet-dice": 0.74}
    return [
        made(root / "a", 1),
        made(root / "b", 2, shift=-0.1),
        made(root / "c", 3, other, shift=0.05),
        made(root / "d", 4, shift=-0.05),
    ]


@pytest.fixture(scope="module")
def found(sets):
    return segstudy.compare_sets(*sets)


def test_each_set_counts_the_same_and_is_a_block(found):
    assert found.set_names == ["set1", "set2", "set3", "set4"]
    assert [row.name for row in found.rows][:2] == ["unet-dice-b8", "unet-bce-b8"]
    for row in found.rows:
        assert row.mean == pytest.approx(sum(each.mean for each in row.per_set) / 4)
    assert found.top.mean_rank == pytest.approx((1 + 1 + 2 + 1) / 4)
    assert (found.top.sets_won, found.rows[1].sets_won) == (3, 1)
    assert len(found.pairs) == 6
    assert all(len(pair.per_set) == 4 for pair in found.pairs)


def test_a_clear_difference_is_shown_and_one_that_varies_between_sets_is_not(found):
    against = found.against_top
    assert against["segnet-bce-b8"].over.conclusion == "a"
    assert against["unet-bce-b8"].over.conclusion == "not resolved"
    assert against["unet-bce-b8"].over.between_sd > 0.01
    text = " ".join(answers(found))
    assert "Over 4 data sets (set1, set2, set3 and set4), unet-dice-b8 has the highest mean test IoU" in text
    assert "is better than segnet-" in text
    assert "cannot be told from unet-bce-b8 (" in text
    assert "4 data sets are few: the interval of one pair reaches 3.2 standard errors" in text


def test_the_safest_loses_least_on_its_worst_set(found):
    worst = {row.name: max(row.losses.per_set) for row in found.rows}
    assert found.safest.name == min(worst, key=worst.__getitem__)
    text = next(each for each in answers(found) if each.startswith("Safest"))
    assert f"Safest is {found.safest.name}: against the best of each set it loses" in text
    assert all(name in text for name in found.set_names)


def test_two_sets_say_what_they_cannot_tell(sets):
    two = segstudy.compare_sets(*sets[:2])
    text = " ".join(answers(two))
    assert "2 data sets are few: the interval of one pair reaches 12.7 standard errors" in text
    assert two.pairs[0].over.new_low is None
    pair = segstudy.compare_sets(*sets[:2])
    assert pair.ranks.least_p == pytest.approx(1 / 24)


def test_with_three_configurations_two_sets_cannot_tell_by_ranks(tmp_path):
    three = {name: mean for name, mean in MEANS.items() if name != "segnet-bce"}
    folders = [made(tmp_path / each, n, three) for n, each in enumerate("ab", 1)]
    text = " ".join(answers(segstudy.compare_sets(*folders)))
    assert (
        "With 2 sets and 3 configurations p cannot be less than 0.167, so ranks cannot tell anything" in text
    )


def test_what_is_not_in_all_studies_is_counted_and_named(tmp_path):
    folders = [
        made(tmp_path / "a", 1),
        made(tmp_path / "b", 2, {k: m for k, m in MEANS.items() if not k.startswith("segnet")}),
    ]
    found = matched_sets(folders)
    assert {each.name for each in found.configurations} == {"unet-bce-b8", "unet-dice-b8"}
    assert found.left_out[0].startswith("Not in all studies: 2 configurations: segnet-")
    assert all(f"segnet-{loss}-b8 (not in set2)" in found.left_out[0] for loss in ("bce", "dice"))


def test_a_configuration_with_missing_runs_is_left_out_and_named(tmp_path):
    folders = [made(tmp_path / "a", 1), made(tmp_path / "b", 2, skip=("segnet-bce-b8",))]
    found = matched_sets(folders)
    assert len(found.configurations) == 3
    assert any("Left out of set2, with missing runs: 1 (segnet-bce-b8)." in each for each in found.left_out)


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_studies_are_refused(sets, number):
    with pytest.raises(UserError, match=f"needs two or more studies on different data sets, got {number}"):
        segstudy.compare_sets(*sets[:number])


def test_fewer_than_two_common_configurations_are_refused(tmp_path):
    folders = [
        made(tmp_path / "a", 1, {"unet-bce": 0.7, "unet-dice": 0.7}),
        made(tmp_path / "b", 2, {"unet-bce": 0.7}),
    ]
    with pytest.raises(UserError, match=r"1 configuration in all 2 studies.*unet-dice-b8 \(not in set2\)"):
        segstudy.compare_sets(*folders)


def test_one_data_set_twice_is_refused(tmp_path, sets):
    again = made(tmp_path / "again", 1)
    with pytest.raises(UserError, match=r"on the same data set \(equal fingerprints\).*leave one"):
        segstudy.compare_sets(sets[0], again)


def test_most_images_of_one_set_in_another_are_one_data_set_and_fewer_are_counted(tmp_path, sets):
    def sharing(path, number):
        made(path, 9)
        record = json.loads((path / "data.json").read_text())
        theirs = json.loads((sets[0] / "data.json").read_text())["samples"]
        for mine, other in list(zip(record["samples"], theirs, strict=True))[:number]:
            mine["image"] = other["image"]
        (path / "data.json").write_text(json.dumps(record))
        return path

    with pytest.raises(UserError, match=r"on the same data set \(12 of 18 images\)"):
        segstudy.compare_sets(sets[0], sharing(tmp_path / "most", 12))
    found = matched_sets([sets[0], sharing(tmp_path / "few", 2)])
    assert "set1 and set9 share 2 images: they are not independent." in found.notes


def test_other_protocols_are_refused_with_the_differences_and_may_be_accepted(tmp_path, sets):
    other = made(tmp_path / "other", 5, epochs=7)
    with pytest.raises(
        UserError, match=r"differ in more than their data: epochs \(3 in set1, 7 in set5\).*--accept"
    ):
        segstudy.compare_sets(sets[0], other)
    found = segstudy.compare_sets(sets[0], other, accept_differences=True)
    assert any("epochs (3 in set1, 7 in set5); it counts as" in each for each in found.matched.notes)


def test_another_version_of_the_code_is_a_difference(tmp_path, sets):
    other = made(tmp_path / "other", 5)
    numerics = json.loads((other / "numerics.json").read_text())
    (other / "numerics.json").write_text(json.dumps({**numerics, "training": 2}))
    folder = segstudy.Study(other).folder
    for name, mean in MEANS.items():
        for seed in range(3):
            finish(folder, f"{name}-b8", mean, mean, seed=seed, noise=0.01, data=f"{5:016x}", version=2)
    with pytest.raises(UserError, match=r"version of training of \S+ \(1 in set1, 2 in set5\)"):
        segstudy.compare_sets(sets[0], other)


def test_a_factor_of_one_study_is_matched_with_the_value_of_the_other(tmp_path):
    several = made(tmp_path / "a", 1, {"unet-bce": 0.8, "unet-dice": 0.7}, factors={"width": [2, 4]})
    one = made(tmp_path / "b", 2, {"unet-bce": 0.8, "unet-dice": 0.7})
    found = matched_sets([several, one])
    assert [each.names for each in found.configurations] == [
        ("unet-bce-b8-width=2", "unet-bce-b8"),
        ("unet-dice-b8-width=2", "unet-dice-b8"),
    ]
    assert [each.name for each in found.configurations] == ["unet-bce", "unet-dice"]
    assert "2 configurations" in found.left_out[0]


def test_single_runs_are_said_to_lack_training_noise(tmp_path, sets):
    single = made(tmp_path / "single", 6, seeds=1)
    text = " ".join(answers(segstudy.compare_sets(sets[0], sets[1], single)))
    assert "Single runs of a configuration on set6: training noise is not measured there" in text


def test_sequential_studies_are_said_to_be_unadjusted(found):
    plan = LookPlan(seeds=[3], error_shares=[0.05], margin=0.01, score="", configurations=[], study_sha256="")
    first, *others = found.matched.sets
    looked_at = replace(first, results=replace(first.results, seed_plan=SeedPlan(Looks(plan=plan))))
    said = limits(replace(found, matched=replace(found.matched, sets=(looked_at, *others))))
    (new,) = set(said) - set(limits(found))
    assert new.startswith(f"Sequential studies on {first.name}: these comparisons are not adjusted")


def test_every_format_has_all_configurations(found):
    names = [row.name for row in found.rows]
    for form in ("text", "markdown", "csv", "latex"):
        text = render(found, form)
        assert [name for name in names if name in text] == names
        assert "set3" in text
    content = json.loads(render(found, "json"))
    assert [each["configuration"] for each in content["configurations"]] == names
    assert content["friedman"]["is_exact"] is True
    assert content["safest"] == found.safest.name
    assert content["warnings"][0].startswith("set1, set2, set3 and set4: Only 9 test images: under 40")
    assert len(content["pairs"][0]["per_set"]) == 4
    assert r"95 \% over sets" in render(found, "latex")
    with pytest.raises(UserError, match="unknown format 'pdf'"):
        render(found, "pdf")
    narrow = render(found, "text", 80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "Left out, for want of width" in narrow


def test_the_page_is_one_file_with_charts_and_tables_and_replaces_only_its_own(sets, tmp_path):
    page = tmp_path / "sets.html"
    segstudy.compare_sets(*sets, out=page)
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "Which is the safest choice" in text
    segstudy.compare_sets(*sets, out=page)
    foreign = tmp_path / "other.html"
    foreign.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="not written by compare-sets"):
        segstudy.compare_sets(*sets, out=foreign)
    assert foreign.read_text(encoding="utf-8") == "mine"


def test_no_study_is_an_error_in_one_line(sets, tmp_path):
    with pytest.raises(UserError, match="is not a study"):
        segstudy.compare_sets(sets[0], tmp_path / "nothing")
    empty = make_study(tmp_path / "empty")
    with pytest.raises(UserError, match="no configuration has all its runs"):
        segstudy.compare_sets(sets[0], Path(empty.path))


def test_the_command_prints_the_answer_and_refuses_with_exit_code_2(sets, tmp_path, capsys):
    page = tmp_path / "page.html"
    code, out, err = called(capsys, "compare-sets", *sets[:3], "--out", page)
    assert code == 0
    assert "Over 3 data sets (set1, set2 and set3)" in " ".join(out.split())
    assert "the page, for a browser" in " ".join(err.split())
    assert page.exists()
    code, _, err = called(capsys, "compare-sets", sets[0], sets[0])
    assert code == 2
    assert "on the same data set" in " ".join(err.split())


def called(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err


def test_other_classes_are_said_as_they_may_follow_from_the_data(tmp_path, sets):
    other = made(tmp_path / "other", 6, classes="background=0,disc=1,cup=2")
    notes = segstudy.compare_sets(sets[0], other).matched.notes
    assert "The studies differ in classes (none in set1, background=0,disc=1,cup=2 in set6)." in notes
