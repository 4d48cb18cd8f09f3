"""UNet: skip connections from every encoder stage to the decoder stage of the same size."""

from torch import Tensor, nn

from segstudy.models.blocks import concatenate, conv_block, head, max_pool, upsampled_nearest
from segstudy.models.joined import after_nearest, is_joined


class UNet(nn.Module):
    """U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) with padding and batch norm.

    Four steps down by 2x2 max-pooling, ``width`` x 1, 2, 4, 8, 16 channels, two convolutions a stage;
    nearest-neighbour upsampling, then concatenation with the encoder's map of that size.

    Maps images ``(batch, image_channels, H, W)`` to logits ``(batch, num_logits, H, W)``; H and W at least
    32.

    Args:
        width: channels of the first stage.
        skips: ``False`` leaves the concatenations out, so that their effect can be measured alone.
        num_logits: of every pixel.
        image_channels: of the images.
    """

    def __init__(self, width: int = 64, skips: bool = True, num_logits: int = 1, image_channels: int = 3):
        super().__init__()
        channels = [width * 2**i for i in range(5)]
        self.skips = skips
        stages = zip([image_channels, *channels], channels, strict=False)
        self.encoder = nn.ModuleList(conv_block(a, b) for a, b in stages)
        self.decoder = nn.ModuleList(
            conv_block(2 * c + (c if skips else 0), c) for c in reversed(channels[:-1])
        )
        self.head = head(width, num_logits)

    def forward(self, image: Tensor) -> Tensor:
        x = self.encoder[0](image)
        features = [x]
        for stage in list(self.encoder)[1:]:
            x = stage(max_pool(x)[0])
            features.append(x)
        for stage, skip in zip(self.decoder, reversed(features[:-1]), strict=True):
            if is_joined(x, skip):
                x = after_nearest(stage, skip if self.skips else None, x)
            else:
                x = upsampled_nearest(x, skip.shape[-2:])
                x = stage(concatenate(skip, x) if self.skips else x)
        logits: Tensor = self.head(x)
        return logits
