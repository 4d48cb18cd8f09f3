"""One function per command, with the same names."""
