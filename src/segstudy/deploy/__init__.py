"""A trained model in use: engines, export, prediction, server. Predicts without PyTorch."""
