#!/usr/bin/env python3
"""Times the losses of a training step, forwards and backwards: operators of the package `cmerc` against plain PyTorch.

Usage: benchmarks/python_losses.py [ROUNDS]   with the Python that has `cmerc` (docs/python.md)

Prints a table: milliseconds of processor time with one thread, medians of ROUNDS (default 15) that take turns.
"""
import statistics
import sys
import time

import torch

import cmerc

MODALITIES = ["text", "audio", "visual"]
VIEWS = MODALITIES + ["same_speaker", "other_speakers"]
TEMPERATURE = 0.07


def plain_ranking(full, labels, features, views):
    """As the official code computes it."""
    truth = labels[:, None]
    return sum((view.gather(1, truth) - full.gather(1, truth)).clamp_min(0).sum() for view in views.values())


def plain_contrastive(names):
    """The losses MSCL and CSCL with semantics CORRECTED, as one writes them in PyTorch: an [N, N] matrix a view."""
    def value(full, labels, features, views):
        unit = torch.nn.functional.normalize(features, dim=1)
        logits = unit @ unit.t() / TEMPERATURE
        itself = torch.eye(len(labels), dtype=torch.bool)
        truth, total = labels[:, None], 0
        for name in names:
            right = full.argmax(1) == labels
            surer = (full.gather(1, truth) > views[name].gather(1, truth)).squeeze(1)
            confidence = (right & ((views[name].argmax(1) != labels) | surer)).long()
            counts = torch.bincount(confidence, minlength=2)
            weights = (len(labels) / counts.clamp_min(1))[confidence]
            same = (confidence[:, None] == confidence[None]) & ~itself
            positive = logits.masked_fill(~same, -1e30).logsumexp(1)
            every = logits.masked_fill(itself, -1e30).logsumexp(1)
            anchors = same.any(1)
            total = total + (weights * (every - positive)).masked_fill(~anchors, 0).sum() / anchors.sum().clamp_min(1)
        return total
    return value


def plain_nll(full, labels, features, views):
    return torch.nn.functional.nll_loss(full, labels)


def operator(*plugins):
    texts = [cmerc.plugin_text(plugin) for plugin in plugins]

    def value(full, labels, features, views):
        return sum(torch.ops.cmerc.losses(texts, full, features, labels, list(views), list(views.values()), MODALITIES, [],
                                          []))
    return value


def together(*losses):
    return lambda *inputs: sum(loss(*inputs) for loss in losses)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    torch.set_num_threads(1)
    pairs = {
        "Nll": (plain_nll, operator("Nll")),
        "CalibrationRanking": (plain_ranking, operator("CalibrationRanking")),
        "Mscl": (plain_contrastive(MODALITIES), operator("Mscl")),
        "Mscl, Cscl": (plain_contrastive(VIEWS), operator("Mscl", "Cscl")),
        "all four": (together(plain_nll, plain_ranking, plain_contrastive(VIEWS)),
                     operator("Nll", "CalibrationRanking", "Mscl", "Cscl"))}
    print("| losses | utterances | plain PyTorch, ms | operators, ms | operators / plain |")
    print("| --- | --- | --- | --- | --- |")
    for utterances in (160, 800):
        torch.manual_seed(1)
        full = torch.randn(utterances, 6).log_softmax(1).requires_grad_()
        features = torch.randn(utterances, 512, requires_grad=True)
        views = {name: torch.randn(utterances, 6).log_softmax(1) for name in VIEWS}
        labels = torch.randint(6, (utterances,))
        for name, losses in pairs.items():
            values = [loss(full, labels, features, views) for loss in losses]
            assert torch.allclose(values[0], values[1], rtol=1e-4), (name, values)
            times = ([], [])
            for _ in range(rounds):
                for loss, seconds in zip(losses, times):
                    begin = time.process_time()
                    loss(full, labels, features, views).backward()
                    seconds.append(time.process_time() - begin)
            plain, ours = (1000 * statistics.median(seconds) for seconds in times)
            print(f"| {name} | {utterances} | {plain:.2f} | {ours:.2f} | {ours / plain:.2f} |", flush=True)


if __name__ == "__main__":
    main()
