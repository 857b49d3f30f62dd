"""A model of one's own and batches for it, for the tests of Calibrated."""
import torch

import cmerc

MODALITIES = ["text", "audio"]
WIDTHS = {"text": 5, "audio": 3}
CLASSES = 3


class Model(torch.nn.Module):
    """Reads the features of an utterance and the mean of those that it may draw on."""

    def __init__(self, reads_context=True, normalizes=False, dropout=0.5):
        super().__init__()
        self.reads_context = reads_context
        self.first = torch.nn.Linear(2 * sum(WIDTHS.values()), 8)
        self.norm = torch.nn.BatchNorm1d(8) if normalizes else None
        self.dropout = torch.nn.Dropout(dropout)
        self.last = torch.nn.Linear(8, CLASSES)

    def forward(self, batch):
        own = torch.cat([batch[name] for name in MODALITIES], 2)
        context = batch["context"] if self.reads_context else torch.ones_like(batch["context"])
        weights = context.to(own.dtype) / context.sum(2, keepdim=True).clamp_min(1)
        hidden = self.first(torch.cat([own, weights @ own], 2)).relu()
        if self.norm is not None:
            hidden = self.norm(hidden.transpose(1, 2)).transpose(1, 2)
        return self.last(self.dropout(hidden)).log_softmax(2), hidden  # [B, T, C], [B, T, H]


def batch(seed=1, lengths=(4, 2, 3)):
    """A batch whose labels can be learnt from both modalities together."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    valid = torch.arange(longest) < torch.tensor(lengths)[:, None]
    labels = torch.randint(CLASSES, valid.shape, generator=generator)
    features = {name: (torch.nn.functional.one_hot(labels, width).float() +
                       torch.randn(valid.shape + (width,), generator=generator)) * valid[..., None]
                for name, width in WIDTHS.items()}
    return {**features, "lengths": torch.tensor(lengths),
            "speakers": torch.randint(2, valid.shape, generator=generator) * valid,
            "labels": labels.masked_fill(~valid, -1), "names": ["what", "the", "model", "ignores"]}


def calibrated(losses=None, **options):
    """Drawn from the seed 0."""
    torch.manual_seed(0)
    model = options.pop("model", None) or Model()
    losses = [cmerc.Loss("Nll"), (0.1, cmerc.Loss("CalibrationRanking"))] if losses is None else losses
    return cmerc.Calibrated(model, modalities=MODALITIES, losses=losses, **options)
