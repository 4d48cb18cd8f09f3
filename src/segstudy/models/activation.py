"""From a network's logits to probabilities: the one place, for every task."""

from torch import Tensor

from segstudy.core.outputs import Outputs


def probabilities_from(logits: Tensor, outputs: Outputs) -> Tensor:
    """Return float32 probabilities ``(batch, *outputs.prob_shape)`` of logits ``(batch, channels, H, W)``."""
    if outputs.task == "multiclass":
        return logits.float().softmax(1)
    prob = logits.float().sigmoid()
    return prob.squeeze(1) if outputs.task == "binary" else prob
