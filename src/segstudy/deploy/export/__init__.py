"""A run's network as a file that runs without PyTorch, its card, and the gate that it passes."""
