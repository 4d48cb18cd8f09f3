"""Help: commands in the order of the work, an example of each that parses, completion for the shell."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from segstudy.cli.studies import app, main

COMMANDS = [name for name in app if not name.startswith("-")]


def printed(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_commands_are_listed_in_the_order_of_the_work(capsys):
    text = printed(capsys, "--help")
    order = [
        "Prepare",
        "check",
        "Train",
        "run",
        "Find the answer",
        "compare",
        "Use a trained model",
        "predict",
    ]
    places = [re.search(rf"[─│] {word}\b", text).start() for word in order]
    assert places == sorted(places)
    assert "─ Commands ─" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_parses(capsys, command):
    text = " ".join(printed(capsys, command, "--help").replace("│", " ").split())
    line = re.search(rf"Example: (segstudy {command} .*?)(?= ╭|$)", text).group(1)
    words = line.split(" > ")[0].split()[1:]
    parsed, _, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert parsed.__name__.replace("_", "-") == command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_below_the_home_folder(tmp_path, monkeypatch, capsys, shell):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    text = printed(capsys, "--install-completion", "--shell", shell)
    file = Path(re.search(r"written to (\S+);", text).group(1))
    assert file.is_relative_to(tmp_path)
    script = file.read_text()
    assert all(command in script for command in COMMANDS)
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", file], capture_output=True, check=False).returncode == 0
