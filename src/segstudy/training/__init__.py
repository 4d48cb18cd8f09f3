"""One training run, from its description to its stored result."""
