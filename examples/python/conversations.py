"""The quickstart's conversations as batches for PyTorch, and a model for them. Nothing here knows of cmerc."""
import numpy
import torch


def read(path):
    """The batches of each split of an .npz that `cmerc data convert` wrote, 16 conversations each, and class names."""
    data = numpy.load(path)
    ends = data["lengths"].cumsum()
    splits = {"train": [], "valid": [], "test": []}
    for split, begin, end in zip(data["split"], ends - data["lengths"], ends):
        splits[str(split)].append(slice(begin, end))
    batches = {split: [batch_of(data, rows[first:first + 16]) for first in range(0, len(rows), 16)]
               for split, rows in splits.items()}
    return batches, [str(name) for name in data["class_names"]]


def batch_of(data, rows):
    """A batch of conversations, which are slices of the utterances: features [B, T, D], lengths [B], labels [N]."""
    def pad(name):
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(data[name][one]) for one in rows], batch_first=True)
    batch = {name: pad(name) for name in ("text", "audio", "visual", "speakers")}
    batch["speakers"] = batch["speakers"].long()
    batch["lengths"] = torch.tensor([one.stop - one.start for one in rows])
    batch["labels"] = torch.cat([torch.tensor(data["labels"][one]) for one in rows]).long()
    return batch


class EmotionGru(torch.nn.Module):
    """A GRU over each conversation, and attention over the utterances that one may draw on."""

    def __init__(self, widths, classes, hidden=48, dropout=0.6):
        super().__init__()
        self.gru = torch.nn.GRU(sum(widths), hidden, batch_first=True, bidirectional=True)
        self.own = torch.nn.Linear(sum(widths), 2 * hidden)
        self.query = torch.nn.Linear(2 * hidden, 2 * hidden)
        self.dropout = torch.nn.Dropout(dropout)
        self.last = torch.nn.Linear(4 * hidden, classes)

    def forward(self, batch):
        """log_probs [N, C] and features [N, H] of all utterances, conversation by conversation."""
        inputs = torch.cat([batch["text"], batch["audio"], batch["visual"]], 2)
        valid = torch.arange(inputs.shape[1]) < batch["lengths"][:, None]
        context = batch.get("context")
        if context is None:
            context = valid[:, None] & valid[:, :, None]
        packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, batch["lengths"], batch_first=True, enforce_sorted=False)
        heard, _ = torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        scores = (self.query(heard) @ heard.transpose(1, 2)).masked_fill(~context, -1e9)
        drawn = scores.softmax(2) @ heard
        hidden = self.dropout(torch.cat([self.own(inputs), drawn], 2).relu())[valid]
        return self.last(hidden).log_softmax(1), hidden
