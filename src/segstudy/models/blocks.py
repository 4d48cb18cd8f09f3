"""Building blocks of the architectures: convolutions, pooling, skip connection and output layer."""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F


def conv_block(in_channels: int, channels: int, num_convs: int = 2) -> nn.Sequential:
    """Return ``num_convs`` times 3x3 convolution, batch norm, ReLU. Height and width stay.

    The convolutions have no bias: batch norm would subtract it.
    """
    layers: list[nn.Module] = []
    for i in range(num_convs):
        layers += [
            nn.Conv2d(in_channels if i == 0 else channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def head(channels: int, num_logits: int) -> nn.Conv2d:
    """Return the 1x1 convolution from the last feature maps to the logits of every pixel."""
    return nn.Conv2d(channels, num_logits, 1)


def concatenate(skip: Tensor, x: Tensor) -> Tensor:
    """Return ``torch.cat([skip, x], dim=1)``, with gradients in the memory format of the layers before.

    PyTorch hands each input a view of the whole gradient, with gaps between the pixels' channels; adding
    two such views, or undoing an upsampling on one, then takes up to ten times as long as copying it out.
    Same bits either way.
    """
    joined: Tensor = _Concatenation.apply(skip, x)  # type: ignore[no-untyped-call]
    return joined


class _Concatenation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, skip: Tensor, x: Tensor) -> Tensor:
        ctx.channels = [skip.shape[1], x.shape[1]]  # type: ignore[attr-defined]
        return torch.cat([skip, x], dim=1)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        of_skip, of_x = torch.split(gradients[0], ctx.channels, dim=1)  # type: ignore[attr-defined]
        packed = torch.channels_last
        return of_skip.contiguous(memory_format=packed), of_x.contiguous(memory_format=packed)


def max_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 2x2 max-pooling of ``(batch, channels, H, W)``, and the flat index in H x W of each maximum.

    On a GPU PyTorch adds the gradients of this layer in no fixed order. The windows do not overlap, so
    there is nothing to add, and each can be put in its place.
    """
    pooled: tuple[Tensor, Tensor] = (
        _MaxPool.apply(x)  # type: ignore[no-untyped-call]
        if x.is_cuda
        else F.max_pool2d(x, 2, return_indices=True)
    )
    return pooled


def put_back(x: Tensor, index: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Put every value where ``max_pool`` found it; all other places are zero.

    Equal to ``max_unpool2d`` bit for bit, but deterministic and exportable: that one raises under
    ``torch.use_deterministic_algorithms`` even on a CPU. There it is what max-pooling's backward does, whose
    kernel keeps channels last: SegNet trains 6 % faster than with the scatter that other devices and
    exported files use.

    Args:
        x: ``(batch, channels, h, w)``.
        index: of the same shape, positions in the flattened ``size``.
        size: height and width of the result (passed on because odd sizes lose a row in pooling).
    """
    if x.is_cuda:
        return put_back_by_comparison(x, index, size)
    height, width = size
    if x.device.type == "cpu" and not torch.compiler.is_exporting():
        placed: Tensor = _PutBack.apply(x, index, (height, width))  # type: ignore[no-untyped-call]
        return placed
    batch, channels = x.shape[:2]
    flat = x.new_zeros(batch, channels, height * width).scatter(2, index.flatten(2), x.flatten(2))
    return flat.view(batch, channels, height, width)


def put_back_by_comparison(x: Tensor, index: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """``put_back`` for a GPU, whose deterministic scatter sorts all indices first.

    All places of all windows are compared with the window's index at once.
    """
    height, width = size
    h, w = x.shape[-2:]
    rows = torch.arange(2 * h, device=x.device).view(h, 2, 1, 1, 1)
    columns = torch.arange(2 * w, device=x.device).view(w, 2, 1)
    here = _windows(index) == rows * width + columns
    placed = _joined(torch.where(here, _windows(x), x.new_zeros(())))
    return F.pad(placed, (0, width - 2 * w, 0, height - 2 * h))


def upsampled_nearest(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Return ``F.interpolate(x, size=size, mode="nearest")``, same bits and same gradients.

    On a GPU a map is doubled by one copy, because PyTorch's kernel for channels last is several times slower.
    """
    height, width = size
    if x.is_cuda and (height, width) == (2 * x.shape[-2], 2 * x.shape[-1]):
        twice: Tensor = _Doubled.apply(x)  # type: ignore[no-untyped-call]
        return twice
    return F.interpolate(x, size=(height, width), mode="nearest")


def _windows(x: Tensor) -> Tensor:
    """View ``(batch, channels, h, w)`` as ``(batch, h, 1, w, 1, channels)``: one value a 2x2 window."""
    return x.permute(0, 2, 3, 1)[:, :, None, :, None, :]


def _joined(windows: Tensor) -> Tensor:
    """Return ``(batch, h, 2, w, 2, channels)`` as a map ``(batch, channels, 2h, 2w)``, channels last."""
    return windows.flatten(1, 2).flatten(2, 3).permute(0, 3, 1, 2)


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        ctx.shape = x.shape  # type: ignore[attr-defined]
        return _joined(_windows(x).expand(-1, -1, 2, -1, 2, -1))

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        packed = gradients[0].contiguous(memory_format=torch.channels_last)
        shape = ctx.shape  # type: ignore[attr-defined]
        of_x: Tensor = torch.ops.aten.upsample_nearest2d_backward(packed, packed.shape[-2:], shape)
        return of_x


class _PutBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, index: Tensor, size: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(index)
        packed = x.contiguous(memory_format=torch.channels_last)
        before = x.new_empty(*x.shape[:2], *size).contiguous(memory_format=torch.channels_last)  # shape only
        placed: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            packed, before, [2, 2], [2, 2], [0, 0], [1, 1], False, index
        )
        return placed

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        values, places = (each.permute(0, 2, 3, 1) for each in (gradients[0], index))  # no copies
        taken = values.flatten(1, 2).gather(1, places.flatten(1, 2)).view(places.shape)
        return taken.permute(0, 3, 1, 2), None, None


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled, index = F.max_pool2d(x, 2, return_indices=True)
        ctx.save_for_backward(index)
        ctx.mark_non_differentiable(index)
        ctx.size = x.shape[-2:]  # type: ignore[attr-defined]
        return pooled, index

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        (index,) = ctx.saved_tensors  # type: ignore[attr-defined]
        placed = put_back(gradients[0], index, ctx.size)  # type: ignore[attr-defined]
        return placed.contiguous(memory_format=torch.channels_last)
