"""examples/python: the scripts and the notebook run, differ by five lines, and show what calibration is for."""
import difflib
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("numpy")
EXAMPLES = os.path.join(os.environ["CMERC_ROOT"], "examples/python")
QUICKSTART = os.path.join(os.environ["CMERC_ROOT"], "config/examples/quickstart.textproto")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the examples beside the conversations of the quickstart."""
    folder = tmp_path_factory.mktemp("examples")
    for name in os.listdir(EXAMPLES):
        shutil.copyfile(os.path.join(EXAMPLES, name), folder / name)
    done = subprocess.run([os.environ["CMERC_COMMAND"], "data", "convert", f"--config={QUICKSTART}",
                           f"--output={folder}/quickstart.npz"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def run(folder, *arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_five_lines_are_changed():
    lines = []
    for name in ("plain.py", "calibrated.py"):
        with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
            body = file.read().split('"""\n', 1)[1].split('if __name__ == "__main__":')[0]
        lines.append(body.splitlines())
    changes = [line for line in difflib.ndiff(*lines) if line[0] in "+-"]
    assert len(changes) == 5 and len([line for line in changes if line[0] == "+"]) == 3, changes


def test_scripts(folder):
    accuracy = float(run(folder, "plain.py", "quickstart.npz").split()[1])
    assert accuracy > 0.5  # of six classes
    table = run(folder, "calibrated.py", "quickstart.npz")
    assert "weighted avg" in table and "ECE" in table
    nll, chosen = run(folder, "-c", "import choose; batches, names = choose.read('quickstart.npz'); "
                      "print(*choose.validate(batches, len(names), 1e-3, 1e-3, 0.3, 1))").split()
    assert float(nll) < 1 and float(chosen) > 0.5


@pytest.fixture(scope="module")
def compared(folder):
    """What compare.py prints; scores.json has what it is made of."""
    return run(folder, "-c", "import compare, json, cmerc; pair = compare.scores('quickstart.npz'); "
               "json.dump(pair, open('scores.json', 'w')); print(cmerc.compare(*pair)); print(compare.numbers(pair[0]))")


def test_calibration_pays(compared):
    """Fewer utterances are surer of the truth without evidence, at about the same accuracy."""
    rows = {}
    for line in compared.splitlines():
        words = line.rsplit(None, 2)
        if len(words) == 3 and words[1].replace(".", "").isdigit():
            rows[words[0].strip()] = float(words[1]), float(words[2])
    shares = [pair for name, pair in rows.items() if name.startswith("surer without")]
    assert len(shares) == 5, rows
    assert sum(calibrated for calibrated, _ in shares) < sum(plain for _, plain in shares) * 0.75
    right = rows["mean over views, surer, right"]
    assert right[0] < 0.6 * right[1]
    assert abs(rows["accuracy"][0] - rows["accuracy"][1]) < 0.05
    assert "'mean_share_surer_without': " in compared


def test_notebook(folder, compared):
    pytest.importorskip("matplotlib")
    said = run(folder, "-c", "import compare, json, run_notebook; compare.scores = lambda path: json.load(open('scores.json')); "
               "printed, drawn = run_notebook.run('calibration.ipynb'); print(printed); print('pictures', drawn)")
    assert "weighted F1" in said and "pictures 2" in said
