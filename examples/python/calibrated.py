"""Trains a GRU on the quickstart's conversations, calibrated: plain.py with five lines changed.

Usage: calibrated.py quickstart.npz
"""
import sys

import cmerc
import torch

from conversations import EmotionGru, read


def train(path, seed=1):
    """The trained model, the batches of each split, and the names of the classes."""
    batches, class_names = read(path)
    torch.manual_seed(seed)
    model = EmotionGru((32, 16, 16), len(class_names))
    model = cmerc.Calibrated(model, **cmerc.recipe({"text": 32, "audio": 16, "visual": 16}))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=3e-3)
    for epoch in range(30):
        model.train()
        for batch in batches["train"]:
            optimizer.zero_grad()
            loss = model.loss(batch)
            loss.backward()
            optimizer.step()
    return model, batches, class_names


if __name__ == "__main__":
    model, batches, class_names = train(sys.argv[1])
    print(cmerc.table(cmerc.evaluate(model, batches["test"], valid=batches["valid"], class_names=class_names)["test"]))
