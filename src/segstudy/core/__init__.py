"""What every layer builds on: errors, files, names, seeds, the machine. Imports nothing else of segstudy."""
