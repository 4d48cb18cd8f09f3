"""What is wrong with a command line is said with the option, what it takes, and what was probably meant."""

import pytest

from segstudy.cli.studies import app, main

CASES = [
    ("plan d --archs unet", ["no option --archs", "did you mean --architecture?"]),
    ("run d --losses bce", ["no option --losses", "did you mean --loss?"]),
    ("run d --learning-rate 1e-3", ["did you mean --set lr=VALUE?"]),
    ("run d --lr=1e-3", ["no option --lr;", "did you mean --set lr=VALUE?"]),
    ("run d --optimiser sgd", ["did you mean --set optimizer=VALUE?"]),
    ("run d --lr-scheduler none", ["did you mean --set scheduler=VALUE?"]),
    ("run d --bs 4", ["did you mean --batch-size?"]),
    ("run d --output x", ["did you mean --out?"]),
    ("run d --gpu", ["did you mean --device?"]),
    ("run d --n-epochs 3", ["did you mean --epochs?"]),
    ("predict m i --out o --treshold .3", ["did you mean --threshold?"]),
    ("evaluate m d --foregrond 1", ["did you mean --foreground?"]),
    ("synth d --n 12", ["no option --n;", "--number"]),
    ("plan d --yes", ["plan asks nothing and takes no --yes"]),
    ("run d --xyzzy", ["no option --xyzzy", "segstudy run --help"]),
    ("plan d --out", ["--out has no value"]),
    ("run d --seeds", ["--seeds has no value: the number of runs per configuration"]),
    ("export m --to", ["--to has no value", "--to onnx|openvino"]),
    ("predict m i", ["predict needs --out VALUE: the folder for the results"]),
    ("predict", ["predict needs MODEL: a run's folder"]),
    ("check", ["check needs DATA: the data set's folder"]),
    ("score d", ["score needs MASKS"]),
    ("run d --seeds x", ["--seeds must be a whole number, got x"]),
    ("run d --device tpu", ["--device must be one of auto, cpu, cuda, mps"]),
    ("predict m i --out o --threshold high", ["--threshold must be a number, got high"]),
    ("table s --format xml", ["--format must be one of text, markdown"]),
    ("run d --loss bce --loss dice", ["--loss is given twice", "--loss A,B"]),
    ("run d --seeds 2 --seeds 3", ["--seeds is given twice", "leave one of them out"]),
    ("plan d e", ["plan takes STUDY, and e is left over"]),
    ("trian d", ["'trian' is not a command", "did you mean run?"]),
    ("train d", ["'train' is not a command", "did you mean run?"]),
    ("runn d", ["'runn' is not a command; did you mean run? use one of "]),
    ("remov s", ["did you mean remove?"]),
    ("delet s", ["did you mean remove?"]),
    ("delete s", ["did you mean remove?"]),
    ("leaderbord d", ["did you mean table?"]),
    ("xyzzy", ["'xyzzy' is not a command; use one of "]),
    ("run synthetic --width -3", ["error: width must be at least 1, got '-3'"]),
    ("run synthetic --width 99999", ["error: width must be at most 4,096"]),
    ("run synthetic --seeds 0", ["error: seeds must be at least 1, got 0"]),
    ("run synthetic --set lr=-1", ["error: lr must be greater than 0, got '-1'"]),
    ("run synthetic --set lr=1,-1", ["error: lr must be greater than 0, got -1.0"]),
    ("run synthetic --set lr=fast", ["error: lr must be a number, got 'fast'"]),
    ("run synthetic --set momentum=2", ["error: momentum must be less than 1"]),
    (
        "run synthetic --set optimizer=lion",
        ["error: optimizer must be 'adam', 'adamw' or 'sgd', got 'lion'"],
    ),
    ("run synthetic --set record_test=maybe", ["error: record_test must be true or false"]),
    ("run synthetic --width 2.5", ["error: width must be a whole number"]),
    ("run synthetic --epochs 1e999", ["error: epochs must be a whole number"]),
]


@pytest.mark.parametrize(("line", "parts"), CASES, ids=[line for line, _ in CASES])
def test_a_wrong_command_line_gets_one_line_with_the_remedy(tmp_path, monkeypatch, capsys, line, parts):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    printed = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error:")]
    assert len(printed) == 1
    assert all(part in printed[0] for part in parts), printed[0]
    assert "Input should" not in printed[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["demo", "removal", "move", "dele", "rename", "renew"])
def test_what_deletes_is_suggested_only_for_a_word_that_is_a_letter_off(tmp_path, monkeypatch, capsys, word):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main([word, "--help"])
    assert "did you mean remove?" not in " ".join(capsys.readouterr().err.split())


def test_data_in_the_place_of_a_command_are_recognised(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my images").mkdir()
    with pytest.raises(SystemExit):
        main(["my images"])
    assert "did you mean segstudy run 'my images'?" in capsys.readouterr().err


def test_other_programs_names_of_commands_lead_to_ours():
    from segstudy.cli.command_errors import COMMANDS

    assert set(COMMANDS.values()) <= {*app}
    assert not set(COMMANDS) & {*app}
