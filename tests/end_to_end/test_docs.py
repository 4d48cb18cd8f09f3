"""The docs hold: every command has help and a page, and every block of code is valid."""

import ast
import inspect
import re

import pytest
from places import ROOT

import segstudy
from segstudy.cli.studies import app
from segstudy.config.protocol import FACTORS
from segstudy.config.study import preset_study
from segstudy.config.study_file import dump, load
from segstudy.losses import LOSSES
from segstudy.models import MODELS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [name for name in app if not name.startswith("-")]
OF_ALL = {"--help", "--version", "--debug", "--install-completion"}
FOREIGN = {
    "--data-binary",  # of curl
    *("--iou", "--measure", "--minutes", "--one", "--only", "--pairs", "--without-amx"),  # of benchmarks
    *("--address", "--disable-usage-stats", "--generate", "--head"),  # of `ray`
    *("--constraint", "--wait"),  # of sbatch
}


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]


def command_lines() -> list[tuple[str, str]]:
    return [
        (page, line.split("#")[0].split(">")[0].strip())
        for page, block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("segstudy ")
    ]


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_every_command_in_the_docs_parses(page, line):
    command, _, _ = app.parse_args(line.split()[1:], exit_on_error=False, print_error=False)
    assert command.__name__.replace("_", "-") == line.split()[1]


def test_every_command_has_a_page():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        assert f"\n## {command}\n" in text


def options(command: str) -> list[set[str]]:
    """The spellings of each option of a command: ``{"--images", "--no-images"}``."""
    arguments = app[command].assemble_argument_collection()
    return [{name for name in each.names if name.startswith("--")} for each in arguments if each.names]


def sections() -> dict[str, str]:
    """The section of each command in docs/commands.md."""
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))


def documented(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def test_every_option_of_a_command_is_in_its_section():
    """``plan`` and ``init`` refer to the table of ``run``."""
    texts = sections()
    for command in COMMANDS:
        named = documented(texts[command])
        if "[options of `run`](#run)" in texts[command]:
            named |= documented(texts["run"])
        for spellings in filter(None, options(command)):
            assert spellings & named, f"{command}: {sorted(spellings)}"


def test_every_option_in_the_docs_exists():
    """In any page an option of some command; FOREIGN ones are of other programs."""
    known = {name for command in COMMANDS for each in options(command) for name in each} | OF_ALL | FOREIGN
    for page in PAGES:
        if page.name != "LOG.md":
            assert documented(page.read_text(encoding="utf-8")) <= known, page.name


def test_plan_and_init_have_the_options_that_the_docs_name():
    """All of ``run`` but seven; those before ``--out`` in the table of ``run``."""
    of_run, of_plan, of_init = (set().union(*options(each)) for each in ("run", "plan", "init"))
    of_sequential = {"--until-settled", "--max-hours", "--max-seeds"}
    assert of_run - of_plan - of_sequential == {"--tracker", "--retry", "--yes", "--images", "--no-images"}
    table = sections()["run"].partition("| `--out DIR` |")[0].partition("| option |")[2]
    first_cells = " ".join(line.split(" | ")[0] for line in table.splitlines())
    assert documented(first_cells) == of_init


def test_every_study_file_in_the_docs_is_valid(tmp_path):
    files = blocks("toml")
    assert files
    for _, text in files:
        (tmp_path / "study.toml").write_text(text)
        assert load(tmp_path / "study.toml").configurations()


def test_every_component_and_field_is_in_the_docs():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in (*MODELS, *LOSSES):
        assert f"`{name}`" in text, name


def test_every_python_block_compiles():
    for page, block in blocks("python"):
        compile(block, page, "exec")


def test_every_call_in_the_docs_has_only_arguments_that_there_are():
    calls = [node for _, block in blocks("python") for node in ast.walk(ast.parse(block))]
    found = 0
    for call in calls:
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).startswith(
            ("segstudy.", "Predictor")
        ):
            continue
        function = getattr(segstudy, ast.unparse(call.func).removeprefix("segstudy."))
        arguments = {keyword.arg: None for keyword in call.keywords}
        inspect.signature(function).bind(*call.args, **arguments)
        found += 1
    assert found >= 4


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_factors_are_documented_in_init():
    text = dump(preset_study("classic", "s", "synthetic"), ROOT, comments=True)
    documented = {line.split(" = ")[0].removeprefix("# ") for line in text.splitlines() if " = " in line}
    assert set(FACTORS) <= documented
