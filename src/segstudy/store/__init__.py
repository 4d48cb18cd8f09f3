"""A study on disk: its folder, records, tables, checkpoints, weights and trained models."""
