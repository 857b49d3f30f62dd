#!/usr/bin/env python3
"""Runs the cells of a notebook in order, in its folder, and prints what they print.

Usage: run_notebook.py NOTEBOOK [--write]
  --write: keeps what they print, and their pictures, in the notebook
"""
import base64
import contextlib
import io
import json
import os
import sys


def pictures():
    """The figures that are open, as PNG, and closes them."""
    import matplotlib.pyplot as plt
    images = []
    for number in plt.get_fignums():
        png = io.BytesIO()
        plt.figure(number).savefig(png, format="png", dpi=80, metadata={"Software": None})
        images.append(base64.b64encode(png.getvalue()).decode())
    plt.close("all")
    return images


def run(path, write=False):
    """Returns what was printed, and how many pictures there were."""
    os.environ["MPLBACKEND"] = "Agg"
    with open(path, encoding="utf-8") as file:
        notebook = json.load(file)
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    names, printed, drawn = {"__name__": "__main__"}, "", 0
    for number, cell in enumerate(one for one in notebook["cells"] if one["cell_type"] == "code"):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("".join(cell["source"]), f"cell {number + 1}", "exec"), names)
        images = pictures()
        printed, drawn = printed + out.getvalue(), drawn + len(images)
        cell["execution_count"] = number + 1
        cell["outputs"] = [{"output_type": "stream", "name": "stdout",
                            "text": out.getvalue().splitlines(keepends=True)}] if out.getvalue() else []
        cell["outputs"] += [{"output_type": "display_data", "metadata": {}, "data": {"image/png": image}}
                            for image in images]
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(notebook, indent=1) + "\n")
    return printed, drawn


if __name__ == "__main__":
    print(run(sys.argv[1], "--write" in sys.argv[2:])[0], end="")
