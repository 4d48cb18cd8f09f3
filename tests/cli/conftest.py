"""What tests of the command line share."""

import pytest

from segstudy.cli.studies import main


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    """Run a command line in this process: exit code, standard output, standard error."""

    def called(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return called
