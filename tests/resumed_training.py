"""A training that is stopped after every epoch, and continued from its saved state."""

import torch

from segstudy.core.device import reproducible
from segstudy.store.checkpoints import Checkpoints
from segstudy.store.weights import read_state, state_bytes
from segstudy.training.loop import begin, epochs, finish, restore, snapshot

CPU = torch.device("cpu")


def through_a_file(data, run, folder):
    """The result, trained by a new process after every epoch as far as a training can tell; and how many."""
    checkpoints, sessions = Checkpoints(folder), 0
    while True:
        training = begin(run, *data, CPU)
        for _, content in checkpoints.contents():
            assert content is not None
            restore(training, read_state(content))
            break
        torch.rand(1)  # other processes draw other numbers first
        with reproducible(1):
            if next(epochs(training), None) is None:
                return finish(training), sessions
        sessions += 1
        checkpoints.write(len(training.rows), state_bytes(snapshot(training)))
