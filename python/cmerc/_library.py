"""Loads the operators, torch.ops.cmerc, into this process."""
from __future__ import annotations

import os
import re
from typing import Any, Callable, TypeVar

import torch

try:
    from ._build import TORCH, VERSION  # noqa: F401
except ImportError as error:
    raise ImportError("this is the source folder of cmerc, not the package: bazel build //python:wheel, then "
                      "pip install bazel-bin/python/cmerc-*.whl") from error

Function = TypeVar("Function", bound=Callable[..., Any])


def _load() -> None:
    """Raises ImportError where PyTorch is another one than the operators were built for."""
    folder, numbers = os.path.dirname(torch.__file__), re.match(r"[0-9]+\.[0-9]+\.[0-9]+", torch.__version__)
    if numbers is None or numbers.group() != TORCH:
        raise ImportError(f"this cmerc was built for PyTorch {TORCH}, but torch is {torch.__version__} ({folder}); "
                          f"build it for that one: LIBTORCH={folder} bazel build //python:wheel")
    if not torch._C._GLIBCXX_USE_CXX11_ABI:  # Debian's and PyPI's may be of the same version
        raise ImportError(f"torch {torch.__version__} ({folder}) is not built with the C++11 ABI, which cmerc needs; "
                          "PyPI's wheels are from 2.7 on")
    # A library with plugins of one's own is named by the environment (python/ops.bzl).
    path = os.environ.get("CMERC_OPERATORS") or os.path.join(os.path.dirname(__file__), "libcmerc_ops.so")
    try:
        torch.ops.load_library(path)
    except OSError as error:
        raise ImportError(f"{path} cannot be loaded: {error}; it needs the libraries that docs/python.md names") from error


def eager(function: Function) -> Function:
    """`function`, around which torch.compile (PyTorch 2) breaks its graphs: operators here read numbers, which a trace has
    not. By what PyTorch has for its optimizers, which imports the compiler no sooner than `function` is called."""
    disable = getattr(torch, "_disable_dynamo", None) or getattr(getattr(torch, "compiler", None), "disable", None)
    return disable(function) if disable else function


_load()
ops = torch.ops.cmerc
