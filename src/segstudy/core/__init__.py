"""The base of every layer: errors, files, names, seeds, the machine. Imports nothing else of segstudy."""
