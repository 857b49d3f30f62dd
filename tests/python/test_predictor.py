"""Models that `cmerc train` saved, from Python: what `cmerc predict` says of the same conversations."""
import json
import os
import subprocess

import pytest
import torch

import cmerc

numpy = pytest.importorskip("numpy")

DATA = ("data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] { train_conversations: 8 "
        "valid_conversations: 6 test_conversations: 4 min_length: 2 mean_length: 3 max_length: 5 num_classes: 3 "
        "modalities { name: 'text' width: 6 streams: 2 } modalities { name: 'audio' width: 4 } } } }")
CONFIG = DATA + (" backbone { [type.googleapis.com/cmerc.GruOptions] { hidden_width: 4 linear_width: 4 } } "
                 "losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } } training { epochs: 1 threads: 1 }")


def run(*arguments):
    done = subprocess.run([os.environ["CMERC_COMMAND"], *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.textproto").write_text(CONFIG)
    run("train", f"--config={folder}/config.textproto", f"--output={folder}/run")
    for ending in ("npz", "jsonl"):
        run("data", "convert", f"--config={folder}/config.textproto", f"--output={folder}/data.{ending}")
    said = run("predict", f"--checkpoint={folder}/run/selected.pth", f"--input={folder}/data.jsonl", "--explain")
    return folder, [json.loads(line) for line in said.splitlines()]


def conversations(folder):
    """As NumPy arrays, views of those of the file."""
    data = numpy.load(folder / "data.npz")
    ends = data["lengths"].cumsum()
    names = data["speaker_names"]
    for name, begin, end in zip(data["ids"], ends - data["lengths"], ends):
        yield {"id": str(name), "speakers": [str(names[one]) for one in data["speakers"][begin:end]],
               "features": {"text": [data["text"][begin:end, stream] for stream in range(2)],
                            "audio": data["audio"][begin:end]}}


def close(got, want):
    """The same answers, up to the rounding of other batches."""
    assert got["id"] == want["id"] and len(got["utterances"]) == len(want["utterances"])
    for one, other in zip(got["utterances"], want["utterances"]):
        assert one["label"] == other["label"] and one["speaker"] == other["speaker"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
        assert [view["view"] for view in one["without"]] == [view["view"] for view in other["without"]]
        for view, wanted in zip(one["without"], other["without"]):
            assert view["confidence_change"] == pytest.approx(wanted["confidence_change"], abs=1e-5)


def test_says_what_the_command_says(files):
    folder, wanted = files
    model = cmerc.load(folder / "run/selected.pth")
    assert model.class_names == ["class_0", "class_1", "class_2"]
    assert [(one["name"], one["width"], one["num_streams"]) for one in model.modalities] == [("text", 6, 2),
                                                                                            ("audio", 4, 1)]
    given = list(conversations(folder))
    assert len(given) == len(wanted) == 18
    for got, want in zip(model.predict(given, explain=True), wanted):
        close(got, want)
    assert model.predict([]) == []


def test_takes_tensors_dlpack_and_lists_alike(files):
    folder, _ = files
    checkpoint = str(folder / "run/selected.pth")
    given = list(conversations(folder))[:3]

    class Capsule:
        """What some other library's array shows of itself."""

        def __init__(self, array):
            self.tensor = torch.tensor(numpy.ascontiguousarray(array))

        def __dlpack__(self, stream=None):
            return torch.utils.dlpack.to_dlpack(self.tensor)

        def __dlpack_device__(self):
            return (1, 0)
    want = cmerc.predict(checkpoint, given)
    for made in (lambda array: torch.tensor(array), Capsule, lambda array: array.tolist(),
                 lambda array: array.astype(numpy.float64), lambda array: array[::-1].copy()[::-1]):
        same = [{**one, "features": {"text": [made(stream) for stream in one["features"]["text"]],
                                     "audio": made(one["features"]["audio"])}} for one in given]
        assert cmerc.predict(checkpoint, same) == want


def test_float32_arrays_are_not_copied():
    from cmerc.predictor import _tensor
    array = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
    assert _tensor(array).data_ptr() == array.__array_interface__["data"][0]
    array.flags.writeable = False
    assert _tensor(array).data_ptr() == array.__array_interface__["data"][0]
    tensor = torch.rand(2, 3)
    assert _tensor(tensor).data_ptr() == tensor.data_ptr()


def test_missing_evidence_is_said(files):
    folder, _ = files
    model = cmerc.load(folder / "run/selected.pth")
    one = next(conversations(folder))
    whole = model.predict([one])[0]
    del one["features"]["audio"]
    answer = model.predict([one])[0]
    assert all(utterance["missing"] == ["audio"] for utterance in answer["utterances"])
    assert "missing" not in whole["utterances"][0]
    one = next(conversations(folder))
    present = [True] * len(one["speakers"])
    present[1] = False
    answer = model.predict([{**one, "present": {"text": present}}])[0]
    assert [utterance.get("missing") for utterance in answer["utterances"]] == [
        None if there else ["text"] for there in present]


def test_sets_and_abstaining(files):
    folder, _ = files
    model = cmerc.load(folder / "run/selected.pth")
    given = list(conversations(folder))[:2]
    answer = model.predict(given, coverage=0.6, abstain_below=0.99)[0]["utterances"][0]
    assert isinstance(answer["set"], list) and answer["abstained"] is True
    assert "set" not in model.predict(given)[0]["utterances"][0]


def test_says_what_is_wrong(files, tmp_path):
    folder, _ = files
    checkpoint = folder / "run/selected.pth"
    one = next(conversations(folder))
    wide = {**one, "features": {**one["features"], "audio": numpy.zeros((len(one["speakers"]), 5), numpy.float32)}}
    long = {**one, "features": {**one["features"], "audio": numpy.zeros((9, 4), numpy.float32)}}
    infinite = {**one, "features": {**one["features"], "audio": one["features"]["audio"] + numpy.float32("inf")}}
    with pytest.raises(FileNotFoundError):
        cmerc.load(tmp_path / "none.pth")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "python.pth")
    with pytest.raises(ValueError, match="holds weights alone"):
        cmerc.load(tmp_path / "python.pth")
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(ValueError):
        cmerc.load(tmp_path / "text.pth")
    for given, said in ((wide, r"audio has shape \[.*, 5\], want"), (long, r"audio has shape \[9, 4\]"),
                        (infinite, "finite"), ({"id": "a"}, "speakers"), ({**one, "speakers": []}, "no utterance"),
                        ({**one, "features": {"smell": one["features"]["audio"]}}, "smell.*text, audio"),
                        ({**one, "features": {"text": one["features"]["text"][:1]}}, "text has 1 streams, want 2"),
                        ({**one, "features": {"text": numpy.stack(one["features"]["text"], 1)}}, "text has 1 streams, want 2"),
                        ({**one, "present": {"smell": [True]}}, "present has smell"),
                        ({**one, "present": {"text": [True]}}, r"present has shape \[1\]"),
                        ({**one, "features": {**one["features"], "txt": one["features"].get("text"), "text": None}},
                         "features has txt, but the model has text, audio")):
        with pytest.raises(ValueError, match=said):
            cmerc.predict(checkpoint, [given])
    with pytest.raises(ValueError, match="coverage"):
        cmerc.predict(checkpoint, [one], coverage=2.0)
    with pytest.raises(ValueError, match="abstain_below"):
        cmerc.predict(checkpoint, [one], abstain_below=1.5)
    with pytest.raises(ValueError):
        cmerc.load(checkpoint, ["training.epoch=3"])
