#!/usr/bin/env python3
"""Writes the .pth files beside it, as PyTorch users do. Needs PyTorch 1.6 or later; run as
`python3 generate.py`.

Every tensor counts up from its first element, in steps of 1, so that a test can say what it holds.
"""

import argparse
import os
import zipfile

import torch

FOLDER = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(FOLDER, name)


def count(first, *shape, dtype=torch.float32):
    size = 1
    for extent in shape:
        size *= extent
    return torch.arange(first, first + size, dtype=torch.int64).reshape(shape).to(dtype)


def small_module():
    """A linear layer and batch normalisation; its state dict is an OrderedDict with _metadata."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        for i, tensor in enumerate(module.state_dict().values()):
            tensor.copy_(count(10 * i, *tensor.shape))
    return module


def main():
    state = small_module().state_dict()
    torch.save(state, path("module.pth"))
    for protocol in (3, 4, 5):
        torch.save(state, path("module_protocol%d.pth" % protocol), pickle_protocol=protocol)
    torch.save(
        {"epoch": 3, "best": 0.5, "state_dict": state, "args": ["--lr", "1e-4"]},
        path("state_dict_inside.pth"),
    )

    base = count(0, 3, 4)
    torch.save(
        {
            "base": base,
            "tied": base,
            "row": base[1],
            "column": base[:, 2],
            "transposed": base.t(),
            "block": base[1:, 1:3],
            "expanded": count(7, 1).expand(5),
            "same_values": base.clone(),
        },
        path("views.pth"),
    )
    torch.save(
        {
            "weight": torch.nn.Parameter(count(1, 2, 2)),
            "frozen": torch.nn.Parameter(count(5, 2), requires_grad=False),
        },
        path("parameters.pth"),
    )
    types = (
        "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    )
    torch.save(
        {name: count(0, 2, 2, dtype=getattr(torch, name)) for name in types}
        | {"scalar": torch.tensor(3.0), "empty": torch.empty(0, 5)},
        path("types.pth"),
    )

    # What training scripts save around a state dict.
    trained = small_module()
    adam = torch.optim.Adam(trained.parameters())
    trained(torch.ones(4, 3)).sum().backward()
    adam.step()
    torch.save(
        {
            "epoch": 3,
            "model_state_dict": torch.nn.DataParallel(small_module()).state_dict(),
            "optimizer_state_dict": adam.state_dict(),
            "loss": torch.tensor(0.5),
            "args": argparse.Namespace(lr=1e-4, device=torch.device("cpu")),
        },
        path("training_state.pth"),
    )
    torch.save({"model": state, "ema": state}, path("two_models.pth"))

    # What cannot be read.
    torch.save(small_module(), path("whole_module.pth"))
    torch.save(torch.ones(2), path("bare_tensor.pth"))
    torch.save({"complex": torch.ones(2, dtype=torch.complex64)}, path("complex.pth"))
    torch.save(state, path("before_1_6.pth"), _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(path("module.pth")) as stored:
        with zipfile.ZipFile(path("deflated.pth"), "w", zipfile.ZIP_DEFLATED) as deflated:
            for name in stored.namelist():
                deflated.writestr(zipfile.ZipInfo(name), stored.read(name), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
