"""CONTRIBUTING's recipes are carried out in a copy of the tree, and touch no other file than they say."""

import re

import pytest
import recipes
from places import ROOT
from recipes import CHECKS, RECIPES, carry_out, copy_tree

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in CONTRIBUTING.splitlines()
    if re.match(r"\| an? ", line)
]


@pytest.fixture(scope="module")
def touched(tmp_path_factory):
    """The copy, and what each recipe wrote or changed in it."""
    tree = copy_tree(tmp_path_factory.mktemp("recipes") / "tree")
    return tree, {recipe.name: carry_out(recipe, tree) for recipe in RECIPES}


def test_there_is_a_recipe_for_each_row_and_a_check_of_each():
    names = [recipe.name for recipe in RECIPES]
    assert [re.sub(r"^an? ", "", row[0]) for row in ROWS] == names
    assert list(CHECKS) == names
    assert len(names) == 8


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_touches_its_own_files_its_table_and_its_page_and_nothing_else(touched, recipe):
    (row,) = (row for row in ROWS if row[0].endswith(f" {recipe.name}"))
    table = f"src/segstudy/{recipe.record.module}"
    assert set(touched[1][recipe.name]) == {*recipe.files, *recipe.appended, table, recipe.doc[0]}
    assert f"`{recipe.record.table}` in `{recipe.record.module}`" == row[2]
    assert f"`{recipe.doc[0]}`" in row[3]
    own = {name.removeprefix("src/segstudy/") for name in (*recipe.files, *recipe.appended)}
    assert all(name.split("/")[0] in row[1] for name in own)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_tests_that_the_table_names_are_there(recipe):
    (row,) = (row for row in ROWS if row[0].endswith(f" {recipe.name}"))
    assert list((ROOT / row[4].strip("`")).glob("test_*.py"))


@pytest.mark.slow
def test_a_study_uses_all_that_the_recipes_add_and_shows_it(touched, tmp_path):
    tree, _ = touched
    study = recipes.use(tree, tmp_path)
    for check in CHECKS.values():
        check(tree, study)


@pytest.mark.slow
def test_the_tests_that_run_over_the_tables_pass_in_the_copy(touched):
    assert " passed" in recipes.run_contracts(touched[0])
