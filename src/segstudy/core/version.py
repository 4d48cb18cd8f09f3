"""The version of segstudy."""

__version__ = "0.1.0"
