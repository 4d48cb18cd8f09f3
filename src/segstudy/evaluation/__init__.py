"""The scoring of models and masks: one row per image."""
