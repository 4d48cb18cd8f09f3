"""``segstudy`` and ``python -m segstudy``: Ctrl-C ends them in a line from the first moment on."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from segstudy.cli.studies import (
            main as run,  # takes a while: within reach of what catches an interruption
        )

        run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped: nothing was begun\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
