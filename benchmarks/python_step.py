#!/usr/bin/env python3
"""Times training steps of the recommended calibration: the package `cmerc` against the same written in plain PyTorch.

Usage: benchmarks/python_step.py [ROUNDS]   with the Python that has `cmerc` (docs/python.md)

The model is the GRU of examples/python, the batches are random. Prints a table: milliseconds of processor time of a step with
one thread, medians of ROUNDS (default 15) steps that take turns, and the median of the ratios of steps that came together.
"""
import os
import statistics
import sys
import time

import torch

import cmerc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../examples/python"))
from conversations import EmotionGru  # After the path is set.

WIDTHS = {"text": 32, "audio": 16, "visual": 16}
VIEWS = [*WIDTHS, "same_speaker", "other_speakers"]
CLASSES = 6


def batch_of(conversations, length):
    """A batch of conversations of about this length."""
    lengths = torch.randint(length // 2, length + 1, (conversations,))
    lengths[0] = length
    valid = torch.arange(length) < lengths[:, None]
    batch = {name: torch.randn(conversations, length, width) * valid[..., None] for name, width in WIDTHS.items()}
    return {**batch, "lengths": lengths, "speakers": torch.randint(2, valid.shape) * valid,
            "labels": torch.randint(CLASSES, (int(lengths.sum()),))}


class Plain(torch.nn.Module):
    """The recommended calibration as one writes it for this model."""

    def __init__(self, model, views_per_step):
        super().__init__()
        self.model, self.views_per_step = model, views_per_step
        self.shifts = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.zeros(len(VIEWS), width))
                                              for name, width in WIDTHS.items()})

    def without(self, batch, view, valid):
        changed = dict(batch)
        if view in WIDTHS:
            mean = batch[view].sum(1, keepdim=True) / batch["lengths"][:, None, None]
            changed[view] = mean * valid[..., None]
        else:
            same = batch["speakers"][:, :, None] == batch["speakers"][:, None]
            keep = (~same if view == "same_speaker" else same) | torch.eye(valid.shape[1], dtype=torch.bool)
            changed["context"] = batch["context"] & keep
        for name in WIDTHS:
            changed[name] = torch.where(valid[..., None], changed[name] + self.shifts[name][VIEWS.index(view)], changed[name])
        return changed

    def loss(self, batch):
        valid = torch.arange(batch["text"].shape[1]) < batch["lengths"][:, None]
        batch = {**batch, "context": valid[:, None] & valid[:, :, None]}
        begin = torch.get_rng_state()
        full = self.model(batch)[0]
        drawn = torch.randperm(len(VIEWS))[:self.views_per_step].sort().values if self.views_per_step else range(len(VIEWS))
        goal, after, divergence = torch.lerp(full.detach().exp(), torch.tensor(1 / CLASSES), 0.2), torch.get_rng_state(), 0
        for index in drawn:
            torch.set_rng_state(begin)
            log_probs = self.model(self.without(batch, VIEWS[index], valid))[0]
            divergence = divergence + (torch.xlogy(goal, goal) - goal * log_probs).sum(1).mean() / len(drawn)
        torch.set_rng_state(after)
        return torch.nn.functional.nll_loss(full, batch["labels"]) + 3 * divergence


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    torch.set_num_threads(1)
    recipe = cmerc.recipe(WIDTHS)
    print("| views in a step | utterances | plain PyTorch, ms | cmerc, ms | cmerc / plain |")
    print("| --- | --- | --- | --- | --- |")
    for views_per_step, (conversations, length) in ((2, (4, 12)), (2, (16, 20)), (2, (16, 60)), (0, (4, 12)), (0, (16, 60))):
        torch.manual_seed(1)
        batch = batch_of(conversations, length)
        modules = [Plain(EmotionGru(WIDTHS.values(), CLASSES), views_per_step),
                   cmerc.Calibrated(EmotionGru(WIDTHS.values(), CLASSES), **{**recipe, "views_per_step": views_per_step})]
        modules[1].model.load_state_dict(modules[0].model.state_dict())
        optimizers = [torch.optim.Adam(module.parameters(), 1e-3) for module in modules]
        losses, times = ([], []), ([], [])
        for step in range(rounds + 2):
            state = torch.get_rng_state()
            for module, optimizer, values, seconds in zip(modules, optimizers, losses, times):
                torch.set_rng_state(state)
                begin = time.process_time()
                optimizer.zero_grad()
                loss = module.loss(batch)
                loss.backward()
                optimizer.step()
                seconds.append(time.process_time() - begin)
                values.append(float(loss))
        assert torch.allclose(*map(torch.tensor, losses), rtol=1e-3), losses
        plain, ours = (1000 * statistics.median(seconds[2:]) for seconds in times)
        ratio = statistics.median(after / before for before, after in zip(*(seconds[2:] for seconds in times)))
        print(f"| {views_per_step or 'all five'} | {len(batch['labels'])} | {plain:.2f} | {ours:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
