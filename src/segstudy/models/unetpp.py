"""UNetPlusPlus: U-Net whose skip connections pass through nested, densely connected convolutions."""

from torch import Tensor, nn

from segstudy.models.blocks import concatenate, conv_block, head, max_pool, upsampled_nearest


class UNetPlusPlus(nn.Module):
    """UNet++ (Zhou et al. 2018, arXiv:1807.10165) without deep supervision, as ``UNet`` else.

    The node ``(i, j)`` is at depth ``i`` and has ``width`` x ``2**i`` channels. Nodes ``(i, 0)`` are the
    encoder; ``(i, j)`` reads all nodes ``(i, 0)`` to ``(i, j - 1)`` and the upsampled ``(i + 1, j - 1)``. The
    logits come from ``(0, 4)``. Upsampling is to the nearest, and every convolution has batch norm.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.
    """

    def __init__(self, width: int = 32, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        channels = [width * 2**i for i in range(5)]
        stages = zip([image_channels, *channels], channels, strict=False)
        self.encoder = nn.ModuleList(conv_block(a, b) for a, b in stages)
        # By columns: nested[j - 1][i] is the node (i, j).
        self.nested = nn.ModuleList(
            nn.ModuleList(conv_block((j + 2) * c, c) for c in channels[: 5 - j]) for j in range(1, 5)
        )
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        column = [x]
        for stage in list(self.encoder)[1:]:
            x = stage(max_pool(x)[0])
            column.append(x)
        earlier = column  # of every depth, all its nodes so far, concatenated
        for nodes in self.nested:
            assert isinstance(nodes, nn.ModuleList)
            column = [
                node(concatenate(skip, upsampled_nearest(below, skip.shape[-2:])))
                for node, skip, below in zip(nodes, earlier, column[1:], strict=False)
            ]
            earlier = [concatenate(skip, x) for skip, x in zip(earlier, column, strict=False)]
        logits: Tensor = self.head(column[0])
        return logits
