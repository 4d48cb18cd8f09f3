"""Samples and images: reading, checking, splitting, preparing, augmenting, batching."""
