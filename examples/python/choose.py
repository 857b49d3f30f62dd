"""How the options of plain.py were chosen: by the validation split, which leaves the test split to be looked at once.

Usage: choose.py quickstart.npz [SEEDS]

Prints the negative log-likelihood and the accuracy of the validation split for each choice, means of SEEDS (default 3).
"""
import itertools
import sys

import torch

from conversations import EmotionGru, read


def validate(batches, classes, rate, decay, dropout, seed):
    """NLL and accuracy of the validation split after training as plain.py does."""
    torch.manual_seed(seed)
    model = EmotionGru((32, 16, 16), classes, dropout=dropout)
    optimizer = torch.optim.Adam(model.parameters(), rate, weight_decay=decay)
    for _ in range(30):
        for batch in batches["train"]:
            optimizer.zero_grad()
            torch.nn.functional.nll_loss(model(batch)[0], batch["labels"]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        log_probs = torch.cat([model(batch)[0] for batch in batches["valid"]])
    labels = torch.cat([batch["labels"] for batch in batches["valid"]])
    return [float(torch.nn.functional.nll_loss(log_probs, labels)), float((log_probs.argmax(1) == labels).float().mean())]


if __name__ == "__main__":
    batches, class_names = read(sys.argv[1])
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print("learning rate  weight decay  dropout     NLL  accuracy")
    for choice in itertools.product((1e-3, 2e-3), (0, 1e-3, 3e-3), (0.3, 0.6)):
        rows = [validate(batches, len(class_names), *choice, seed) for seed in range(1, seeds + 1)]
        nll, accuracy = (sum(column) / seeds for column in zip(*rows))
        print("{:13g}  {:12g}  {:7g}".format(*choice) + f"  {nll:6.3f}  {accuracy:8.3f}", flush=True)
