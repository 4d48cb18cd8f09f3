"""Statistics: arrays in, frozen results out. Knows no study, no file and no network."""
