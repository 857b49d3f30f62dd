"""Asks a server with the clients that people have: curl, and tritonclient over HTTP and gRPC.

Usage: serve_clients.py HTTP_PORT GRPC_PORT CONVERSATIONS.jsonl

The exit status is 77, after a line "SKIPPED: ...", where a client is not installed (curl: Debian; tritonclient: PyPI,
`pip install tritonclient[all]`; CMERC_PYTHON names its interpreter to the test).
"""

import json
import shutil
import subprocess
import sys


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


if shutil.which("curl") is None:
    skip("there is no curl (Debian: curl)")
try:
    import numpy
    import tritonclient.grpc
    import tritonclient.http
    from tritonclient.utils import InferenceServerException
except ImportError as error:
    skip(f"there is no tritonclient (PyPI: tritonclient[all]): {error}")

http_port, grpc_port, path = sys.argv[1:]
base = f"http://localhost:{http_port}"


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "60", *arguments], check=True,
                          stdout=subprocess.PIPE).stdout


with open(path, encoding="utf-8") as file:
    conversations = [json.loads(line) for line in file]
by_curl = [json.loads(line) for line in
           curl("--data-binary", f"@{path}", "-H", "Content-Type: application/jsonl",
                f"{base}/cmerc/models/tiny/predict?explain=true").splitlines()]
assert len(by_curl) == len(conversations), by_curl
assert b"cmerc_utterances_total" in curl(f"{base}/metrics")
assert json.loads(curl("-X", "POST", f"{base}/v2/repository/index"))[0]["name"] == "tiny"


def check(client, module):
    """Every call of the protocol, and that answers are those that curl has had."""
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny")
    assert not client.is_model_ready("other")
    names = [one["name"] if isinstance(one, dict) else one.name for one in metadata(client, "inputs")]
    for conversation, wanted in zip(conversations, by_curl):
        inputs = []
        for name in names:
            rows = [one["features"].get(name) for one in conversation["utterances"]]
            if None in rows:
                continue
            values = numpy.array(rows, dtype=numpy.float32)
            inputs.append(module.InferInput(name, values.shape, "FP32"))
            inputs[-1].set_data_from_numpy(values)
        speakers = numpy.array([one["speaker"] for one in conversation["utterances"]], dtype=object)
        inputs.append(module.InferInput("speakers", speakers.shape, "BYTES"))
        inputs[-1].set_data_from_numpy(speakers)
        outputs = [module.InferRequestedOutput(name) for name in
                   ("label", "confidence", "without_confidence_change", "prediction")]
        answer = client.infer("tiny", inputs, outputs=outputs, request_id="7")
        utterances = wanted["utterances"]
        assert [one.decode() for one in answer.as_numpy("label")] == [one["label"] for one in utterances]
        # Equal, not close: the numbers are float64 on both ways.
        assert answer.as_numpy("confidence").tolist() == [one["confidence"] for one in utterances]
        assert answer.as_numpy("without_confidence_change").tolist() == [
            [view["confidence_change"] for view in one["without"]] for one in utterances]
        assert len(answer.as_numpy("prediction")) == 1
        everything = client.infer("tiny", inputs)
        assert everything.as_numpy("probabilities").shape[0] == len(utterances)
    for wrong in (("other", inputs), ("tiny", inputs[:-1])):
        try:
            client.infer(*wrong)
        except InferenceServerException as error:
            assert error.message(), error
        else:
            raise AssertionError(f"{wrong[0]} was answered")
    client.load_model("tiny")
    client.unload_model("tiny")
    assert not client.is_server_ready()
    client.load_model("tiny")
    assert client.is_server_ready()


def metadata(client, what):
    model = client.get_model_metadata("tiny")
    return model[what] if isinstance(model, dict) else getattr(model, what)


with tritonclient.http.InferenceServerClient(f"localhost:{http_port}") as client:
    check(client, tritonclient.http)
with tritonclient.grpc.InferenceServerClient(f"localhost:{grpc_port}") as client:
    check(client, tritonclient.grpc)
print("curl and tritonclient understand it")
