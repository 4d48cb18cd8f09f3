"""Lightning as its users run it; progress bar, logger and checkpoints off, which favours it."""

import logging
import warnings

import lightning
import torch
from contest import Answer, arrays, iou, task
from textbook import textbook
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Segmentation(lightning.LightningModule):
    def __init__(self, architecture: str, width: int, seed: int):
        super().__init__()
        self.network = textbook(architecture, width, seed)
        self.best = 0.0
        self._scores: list[torch.Tensor] = []

    def training_step(self, batch, _index):
        image, mask = batch
        loss = F.binary_cross_entropy_with_logits(self.network(image), mask)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, _index):
        image, mask = batch
        logits = self.network(image)
        self.log("val_loss", F.binary_cross_entropy_with_logits(logits, mask))
        self._scores.append(iou(logits, mask))

    def on_validation_epoch_end(self):
        self.best = max(self.best, float(torch.cat(self._scores).mean()))
        self._scores.clear()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    asked = task()
    parts = {
        name: TensorDataset(torch.from_numpy(part.images), torch.from_numpy(part.masks))
        for name, part in arrays(asked).items()
    }
    answer = Answer()
    for seed in range(asked.seeds):
        for architecture in asked.architectures:
            lightning.seed_everything(seed, verbose=False)
            model = Segmentation(architecture, asked.width, seed)
            trainer = lightning.Trainer(
                max_epochs=asked.epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            trainer.fit(
                model,
                DataLoader(parts["train"], asked.batch_size, shuffle=True),
                DataLoader(parts["validation"], asked.batch_size),
            )
            answer.trained(architecture, seed, model.best)
    answer.give()


if __name__ == "__main__":
    main()
