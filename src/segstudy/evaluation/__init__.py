"""A model or masks, and images, in; one row per image out."""
