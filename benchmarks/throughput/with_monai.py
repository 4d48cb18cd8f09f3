"""MONAI's data pipeline and loop as its tutorials write them: transforms, CacheDataset, MeanIoU."""

import warnings

import torch
from contest import Answer, samples_of, task
from monai import transforms
from monai.data import CacheDataset, DataLoader, decollate_batch
from monai.metrics import MeanIoU
from textbook import textbook


def main() -> None:
    warnings.simplefilter("ignore")
    asked = task()
    samples, split = samples_of(asked.data)
    by_id = {sample.id: sample for sample in samples}
    size = (asked.image_size, asked.image_size)
    both = ["image", "mask"]
    pipeline = transforms.Compose(
        [
            transforms.LoadImaged(both, image_only=True, reverse_indexing=False),
            transforms.Lambdad("mask", lambda mask: mask if mask.ndim == 2 else mask[..., 0]),
            transforms.EnsureChannelFirstd("image", channel_dim=-1),
            transforms.EnsureChannelFirstd("mask", channel_dim="no_channel"),
            transforms.ScaleIntensityRanged("image", 0, 255, 0, 1),
            transforms.ScaleIntensityd("mask"),
            transforms.Resized(both, size, mode=("area", "nearest")),
        ]
    )
    parts = {
        name: CacheDataset(
            [{"image": by_id[i].image, "mask": by_id[i].mask} for i in split.part(name)],
            pipeline,
            progress=False,
        )
        for name in ("train", "validation")
    }
    answer = Answer()
    for seed in range(asked.seeds):
        for architecture in asked.architectures:
            torch.manual_seed(seed)
            train = DataLoader(parts["train"], batch_size=asked.batch_size, shuffle=True)
            validation = DataLoader(parts["validation"], batch_size=asked.batch_size)
            model = textbook(architecture, asked.width, seed)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            loss_function = torch.nn.BCEWithLogitsLoss()
            metric = MeanIoU(ignore_empty=False)
            to_mask = transforms.Compose(
                [transforms.Activations(sigmoid=True), transforms.AsDiscrete(threshold=0.5)]
            )
            best = 0.0
            for _ in range(asked.epochs):
                model.train()
                for batch in train:
                    optimizer.zero_grad()
                    loss = loss_function(model(batch["image"]), batch["mask"])
                    loss.backward()
                    optimizer.step()
                model.eval()
                with torch.no_grad():
                    for batch in validation:
                        predicted = [to_mask(logits) for logits in decollate_batch(model(batch["image"]))]
                        metric(y_pred=predicted, y=decollate_batch(batch["mask"]))
                best = max(best, float(metric.aggregate()))
                metric.reset()
            answer.trained(architecture, seed, best)
    answer.give()


if __name__ == "__main__":
    main()
