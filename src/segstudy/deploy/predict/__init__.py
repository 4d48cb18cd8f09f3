"""Prediction: images in, masks and measurements out."""
