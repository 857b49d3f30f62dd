"""Trains a GRU on the quickstart's conversations, as anybody would.

Usage: plain.py quickstart.npz
"""
import sys

import torch

from conversations import EmotionGru, read


def train(path, seed=1):
    """The trained model, the batches of each split, and the names of the classes."""
    batches, class_names = read(path)
    torch.manual_seed(seed)
    model = EmotionGru((32, 16, 16), len(class_names))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=3e-3)
    for epoch in range(30):
        model.train()
        for batch in batches["train"]:
            optimizer.zero_grad()
            log_probs, features = model(batch)
            loss = torch.nn.functional.nll_loss(log_probs, batch["labels"])
            loss.backward()
            optimizer.step()
    return model, batches, class_names


if __name__ == "__main__":
    model, batches, class_names = train(sys.argv[1])
    model.eval()
    right = torch.cat([model(batch)[0].argmax(1) == batch["labels"] for batch in batches["test"]])
    print(f"accuracy {right.float().mean():.3f}")
