"""Statistics: arrays in, frozen results out. Independent of studies, files and networks."""
