"""What a study is, as values: protocol, grids, runs and their keys; and study.toml."""
