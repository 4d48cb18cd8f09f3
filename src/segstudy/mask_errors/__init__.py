"""Suspicious masks: where networks that did not see an image agree with each other, but not with its mask."""
