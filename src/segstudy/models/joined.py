"""A decoder's stage, without the upsampled map and the concatenation that its first convolution reads.

A convolution of a concatenation is the sum of two convolutions, and one of an upsampled map is a transposed
convolution of the small map. These forms are exact, but round elsewhere. They are used in bfloat16 on a CPU,
where a training step takes a tenth less time; everything else keeps its bits.

Every stage here begins with a 3x3 convolution with padding 1 and without bias, ``skip`` is
``(batch, channels, 2h, 2w)`` and ``x`` is ``(batch, channels, h, w)``.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

# A kernel [w0, w1, w2] over a map in which every pixel comes twice, as a transposed one of stride 2.
_TAPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def is_joined(x: Tensor, skip: Tensor) -> bool:
    """Whether the forms below are used: in bfloat16 on a CPU, where the map of ``skip`` is twice as large.

    A map with fewer pixels than channels, as the deepest, would gain less than sums of kernels cost.
    """
    height, width = x.shape[-2:]
    in_bfloat16 = x.dtype is torch.bfloat16 and x.device.type == "cpu"
    return in_bfloat16 and skip.shape[-2:] == (2 * height, 2 * width) and height * width >= x.shape[1]


def after_nearest(stage: nn.Module, skip: Tensor | None, x: Tensor) -> Tensor:
    """Return ``stage(torch.cat([skip, twice], dim=1))``, ``twice`` being ``x`` upsampled to the nearest.

    Along each axis, every pixel of the result sees two pixels of ``x``, one of them under two taps. With
    their sum as one tap, each needs four products instead of nine.

    Args:
        stage: as above.
        skip: None if the stage reads the upsampled map alone.
        x: as above.
    """
    of_skip, of_x = _weights(stage, x)
    out = F.conv_transpose2d(x, _of_doubled(of_x), stride=2, padding=1)
    return _rest(stage, out if skip is None else out + F.conv2d(skip, of_skip, padding=1))


def after_dilated(stage: nn.Module, skip: Tensor, x: Tensor, up: nn.Module) -> Tensor:
    """Return ``stage(torch.cat([skip, up(x)], dim=1))``, ``up`` being a 3x3 transposed convolution.

    Both its stride and its dilation are 2, so its result has values on even rows and columns, and the bias
    everywhere. The stage then begins with a transposed convolution of the values; the bias adds a constant
    inside, and others at edges and corners, where taps fall outside the map.
    """
    assert isinstance(up, nn.ConvTranspose2d)
    assert up.bias is not None
    of_skip, of_x = _weights(stage, x)
    values = F.conv_transpose2d(x, up.weight, padding=1)
    kernel = of_x.transpose(0, 1).flip(2, 3)
    out = F.conv_transpose2d(values, kernel, stride=2, padding=1, output_padding=1)
    with torch.autocast("cpu", enabled=False):
        of_bias = F.conv2d(up.bias.view(1, -1, 1, 1).expand(-1, -1, 3, 3), of_x, padding=1)
    inside = of_bias[:, :, 1:2, 1:2]
    out = out + F.conv2d(skip, of_skip, inside.flatten(), padding=1)
    at_edges: Tensor = _AddedAtEdges.apply(out, of_bias - inside)  # type: ignore[no-untyped-call]
    return _rest(stage, at_edges)


def after_transposed(stage: nn.Module, skip: Tensor, x: Tensor, up: nn.Module) -> Tensor:
    """Return ``stage(torch.cat([skip, up(x)], dim=1))`` for a 3x3 transposed convolution of stride 2.

    Its bias is added apart: oneDNN computes the gradients of a transposed convolution with bias several times
    as slowly in bfloat16.
    """
    assert isinstance(up, nn.ConvTranspose2d)
    assert up.bias is not None
    of_skip, of_x = _weights(stage, x)
    larger = F.conv_transpose2d(x, up.weight, stride=2, padding=1, output_padding=1)
    larger = larger + up.bias.to(larger.dtype).view(1, -1, 1, 1)
    return _rest(stage, F.conv2d(larger, of_x, padding=1) + F.conv2d(skip, of_skip, padding=1))


def _weights(stage: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first layer's weights for the skip's channels, and for those of ``x``."""
    layer = next(stage.children())
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is None
    of_skip, of_x = torch.split(layer.weight, [layer.in_channels - x.shape[1], x.shape[1]], dim=1)
    return of_skip, of_x


def _of_doubled(weight: Tensor) -> Tensor:
    """Return the kernels of the transposed convolution for one over a doubled map, see ``_TAPS``."""
    taps = torch.tensor(_TAPS, dtype=weight.dtype)
    with torch.autocast("cpu", enabled=False):  # sums of float32
        kernels = weight.transpose(0, 1).flatten(2) @ torch.kron(taps, taps).T
    return kernels.view(*kernels.shape[:2], 4, 4)


def _rest(stage: nn.Module, x: Tensor) -> Tensor:
    """Return what a stage makes of the output of its first layer."""
    for layer in list(stage.children())[1:]:
        x = layer(x)
    return x


_SIDES = (slice(0, 1), slice(1, -1), slice(-1, None))
_EDGES = [(i, j, _SIDES[i], _SIDES[j]) for i in range(3) for j in range(3) if (i, j) != (1, 1)]


class _AddedAtEdges(torch.autograd.Function):
    """Adds constants ``(1, channels, 3, 3)`` to the outermost pixels of a map, in place.

    To add a whole map, and to sum its gradient over the batch, takes a third of the stage's first layer.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, out: Tensor, constants: Tensor) -> Tensor:
        ctx.mark_dirty(out)
        ctx.dtype = constants.dtype  # type: ignore[attr-defined]
        for i, j, rows, columns in _EDGES:
            out[:, :, rows, columns] += constants[:, :, i : i + 1, j : j + 1].to(out.dtype)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        dtype = ctx.dtype  # type: ignore[attr-defined]
        of_constants = gradients[0].new_zeros(1, gradients[0].shape[1], 3, 3, dtype=dtype)
        for i, j, rows, columns in _EDGES:
            of_constants[0, :, i, j] = gradients[0][:, :, rows, columns].sum((0, 2, 3), dtype=dtype)
        return gradients[0], of_constants
