"""``python -m segstudy``."""

from segstudy.cli import main

main()
