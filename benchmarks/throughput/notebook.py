"""A notebook's loop: everything in memory, float32, a DataLoader, validation after every epoch."""

import torch
from contest import Answer, arrays, iou, task
from textbook import textbook
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    asked = task()
    parts = {
        name: TensorDataset(torch.from_numpy(part.images), torch.from_numpy(part.masks))
        for name, part in arrays(asked).items()
    }
    answer = Answer()
    for seed in range(asked.seeds):
        for architecture in asked.architectures:
            torch.manual_seed(seed)
            train = DataLoader(parts["train"], asked.batch_size, shuffle=True)
            validation = DataLoader(parts["validation"], asked.batch_size)
            model = textbook(architecture, asked.width, seed)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            best = 0.0
            for _ in range(asked.epochs):
                model.train()
                for image, mask in train:
                    optimizer.zero_grad()
                    loss = F.binary_cross_entropy_with_logits(model(image), mask)
                    loss.backward()
                    optimizer.step()
                model.eval()
                with torch.no_grad():
                    scores = torch.cat([iou(model(image), mask) for image, mask in validation])
                best = max(best, float(scores.mean()))
            answer.trained(architecture, seed, best)
    answer.give()


if __name__ == "__main__":
    main()
