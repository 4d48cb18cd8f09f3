"""The description of a study: protocol, grids, runs and their keys; and study.toml."""
