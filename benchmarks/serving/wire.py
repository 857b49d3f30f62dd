"""Requests to `cmerc serve` as bytes, and its answers: what load.py and soak.py say and hear.

Needs Python alone. Of gRPC only messages are made here; grpcio, where it is installed, carries them.
"""

import array
import json
import socket
import struct


class Http:
    """A connection that stays open; one request after the other."""

    def __init__(self, address, timeout=60):
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def ask(self, request):
        """The status and the body of the answer to these bytes."""
        self.socket.sendall(request)
        return self.answer()

    def answer(self):
        """The status and the body of the next answer, which must have a Content-Length."""
        while b"\r\n\r\n" not in self.received:
            self.receive()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while len(self.received) < length:
            self.receive()
        body, self.received = self.received[:length], self.received[length:]
        return int(head.split()[1]), body

    def receive(self):
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        self.received += more

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def post(path, body, host="localhost", headers=()):
    """A POST as bytes; `headers` are lines of its head."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get(path, host="localhost"):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def tensors(conversation):
    """(name, datatype, shape, bytes) of the inputs of a conversation as JSON Lines have it.

    A modality that one of its utterances lacks is left out.
    """
    utterances = conversation["utterances"]
    features = [one["features"] for one in utterances]
    inputs = []
    for name in features[0]:  # of one stream
        rows = [one.get(name) for one in features]
        if None in rows:
            continue
        numbers = array.array("f", (number for row in rows for number in row))
        inputs.append((name, "FP32", [len(rows), len(rows[0])], numbers.tobytes()))
    speakers = b"".join(struct.pack("<I", len(text)) + text
                        for text in (one["speaker"].encode() for one in utterances))
    inputs.append(("speakers", "BYTES", [len(utterances)], speakers))
    return inputs


def infer_body(inputs, outputs=("label", "probabilities")):
    """An inference request over HTTP with binary values, in and out: its body, and the header it needs."""
    request = {"inputs": [{"name": name, "datatype": datatype, "shape": shape,
                           "parameters": {"binary_data_size": len(raw)}}
                          for name, datatype, shape, raw in inputs],
               "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in outputs]}
    head = json.dumps(request).encode()
    return head + b"".join(raw for *_, raw in inputs), f"Inference-Header-Content-Length: {len(head)}"


# Messages of Protobuf.


def varint(value):
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def field(number, payload):
    """A field of text, bytes or a message."""
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def infer_message(model, inputs, outputs=("label", "probabilities")):
    """inference.ModelInferRequest."""
    message = field(1, model)
    for name, datatype, shape, _ in inputs:
        message += field(5, field(1, name) + field(2, datatype) +
                         field(3, b"".join(varint(size) for size in shape)))
    message += b"".join(field(6, field(1, name)) for name in outputs)
    return message + b"".join(field(7, raw) for *_, raw in inputs)


def converse_message(model, utterance):
    """cmerc.ConverseRequest."""
    message = field(1, model) + field(4, utterance["speaker"])
    for name, values in utterance["features"].items():
        message += field(5, field(1, name) + field(2, array.array("f", values).tobytes()))
    return message


def read_varint(message, at):
    """The number there, and where it ends."""
    value = shift = 0
    while message[at] > 127:
        value |= (message[at] & 127) << shift
        shift += 7
        at += 1
    return value | message[at] << shift, at + 1


def fields(message):
    """(number, value) of each field: a number, or bytes."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        if tag & 7 == 0:
            value, at = read_varint(message, at)
        else:
            length = {1: 8, 5: 4}.get(tag & 7)
            if length is None:
                length, at = read_varint(message, at)
            value = message[at:at + length]
            at += length
        yield tag >> 3, value


def raw_outputs(message):
    """What an inference.ModelInferResponse says, without the model's version."""
    return b"".join(value for number, value in fields(message) if number == 6)


def answered_utterance(message):
    """What a cmerc.ConverseResponse says; its maps, which come in any order, are sorted."""
    number = utterance = None
    for place, value in fields(message):
        if place == 1:
            number = value
        else:
            utterance = sorted(fields(value), key=lambda one: one if one[0] in (2, 9) else one[:1])
    return number, tuple(utterance)
