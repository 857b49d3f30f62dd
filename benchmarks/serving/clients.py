"""The kinds of clients that soak.py lets loose on a server: good ones, careless ones and bad ones.

Each kind has SHARE, its part of the requests, and once(i), which does the i-th of them and raises Wrong where the server
does not do what docs/serve.md says.
"""

import json
import queue
import re
import socket
import struct

import wire

try:
    import grpc
except ImportError:
    grpc = None

MODEL = "soak"
PREDICT = f"/cmerc/models/{MODEL}/predict"
INFER = f"/v2/models/{MODEL}/infer"
GRPC_INFER = "/inference.GRPCInferenceService/ModelInfer"
GRPC_CONVERSE = "/cmerc.ConversationService/Converse"
# Flags of the server, and what is too much for it.
MAX_BODY_MB = 4
MAX_UTTERANCES = 200
FLAGS = [f"--max_body_mb={MAX_BODY_MB}", f"--max_utterances={MAX_UTTERANCES}"]
TOO_LONG = (MAX_BODY_MB << 20) + 1
# A message, and its tag and length.
TOO_LONG_MESSAGE = wire.field(1, b"m" * TOO_LONG)


class Wrong(Exception):
    """The server did something else than it should."""


def want(wanted, got, what):
    if got != wanted:
        raise Wrong(f"{what}: want {wanted}, got {got}")


class Kind:
    def __init__(self, soak):
        self.soak = soak
        self.address = soak.http
        self.conversations = soak.conversations

    def conversation(self, i):
        return i % len(self.conversations)

    def alone(self, request):
        """The status of the answer on a connection of its own."""
        with wire.Http(self.address) as connection:
            return connection.ask(request)[0]

    def stop(self):
        pass


class Good(Kind):
    """Checks that an answer has the bits of the first one."""

    def once(self, i):
        n = self.conversation(i)
        self.soak.check(type(self).__name__, n, self.answer(n))


class Predict(Good):
    """JSON Lines over HTTP, on a connection that stays."""
    SHARE = 30

    def __init__(self, soak):
        super().__init__(soak)
        self.connection = wire.Http(self.address)
        self.requests = [wire.post(PREDICT, json.dumps(one).encode()) for one in self.conversations]

    def answer(self, n):
        status, body = self.connection.ask(self.requests[n])
        want(200, status, f"predict {body[:300]}")
        return body

    def stop(self):
        self.connection.close()


class Infer(Good):
    """Binary values over HTTP, on a connection that stays."""
    SHARE = 15

    def __init__(self, soak):
        super().__init__(soak)
        self.connection = wire.Http(self.address)
        bodies = [wire.infer_body(wire.tensors(one)) for one in self.conversations]
        self.requests = [wire.post(INFER, body, headers=[header]) for body, header in bodies]

    def answer(self, n):
        status, body = self.connection.ask(self.requests[n])
        want(200, status, f"infer {body[:300]}")
        return re.sub(rb'"model_version":"\d+"', b"", body)

    def stop(self):
        self.connection.close()


class Grpc(Good):
    """Inference over gRPC."""
    SHARE = 15

    def __init__(self, soak):
        super().__init__(soak)
        self.call = soak.channel.unary_unary(GRPC_INFER)
        self.requests = [wire.infer_message(MODEL, wire.tensors(one)) for one in self.conversations]

    def answer(self, n):
        return wire.raw_outputs(self.call(self.requests[n], timeout=60))


class Conversing:
    """A stream of a conversation."""

    def __init__(self, soak):
        self.requests = queue.SimpleQueue()
        self.call = soak.channel.stream_stream(GRPC_CONVERSE)(iter(self.requests.get, None), timeout=60)

    def say(self, utterance):
        self.requests.put(wire.converse_message(MODEL, utterance))

    def end(self):
        self.requests.put(None)


class Converse(Good):
    """A conversation that goes on, to its end; it stays with the model that it began with."""
    SHARE = 5
    MAX_LENGTH = 5

    def answer(self, n):
        stream = Conversing(self.soak)
        answers = []
        for utterance in self.conversations[n]["utterances"][:self.MAX_LENGTH]:
            stream.say(utterance)
            answers.append(wire.answered_utterance(next(stream.call)))
        stream.end()
        want([], list(stream.call), "answers behind the last")
        return tuple(answers)


class ByteByByte(Predict):
    """Sends the head of a request, and the beginning of its body, a byte at a time."""
    SHARE = 2

    def once(self, i):
        n = self.conversation(i)
        request = self.requests[n]
        slow = request.index(b"\r\n\r\n") + 100
        for at in range(slow):
            self.connection.socket.sendall(request[at:at + 1])
        self.connection.socket.sendall(request[slow:])
        status, body = self.connection.answer()
        want(200, status, "byte by byte")
        self.soak.check("Predict", n, body)


class BreaksOff(Kind):
    """Leaves in the middle of a body, every other time without a goodbye."""
    SHARE = 10

    def once(self, i):
        request = wire.post(PREDICT, json.dumps(self.conversations[self.conversation(i)]).encode())
        connection = wire.Http(self.address)
        connection.socket.sendall(request[:len(request) * (i % 10) // 10])
        if i % 2 == 0:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


class TooMuch(Kind):
    """Sends more than the server takes."""
    SHARE = 5

    def once(self, i):
        if i % 10 == 0:
            utterances = self.conversations[0]["utterances"]
            many = {"id": "many", "utterances": utterances * (MAX_UTTERANCES // len(utterances) + 1)}
            want(400, self.alone(wire.post(PREDICT, json.dumps(many).encode())), "utterances")
        elif i % 10 == 1 and self.soak.channel is not None:
            want("RESOURCE_EXHAUSTED", code(self.soak.channel.unary_unary(GRPC_INFER), TOO_LONG_MESSAGE),
                 "a long message")
        elif i % 2 == 0:
            head = wire.post(PREDICT, b"").replace(b"Length: 0", b"Length: %d" % TOO_LONG)
            want(413, self.alone(head), "a long body")
        else:
            want(414, self.alone(wire.get("/" + "p" * 2000)), "a long path")


def code(call, message):
    try:
        call(message, timeout=60)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


class Nonsense(Kind):
    """Sends what nobody can understand, or what fits no model."""
    SHARE = 10

    def __init__(self, soak):
        super().__init__(soak)
        self.cases = self.of_predict() + self.of_infer() + self.of_http()
        if soak.channel is not None:
            self.cases += self.of_grpc()

    def once(self, i):
        case, request, wanted = self.cases[i % len(self.cases)]
        if callable(request):
            want(wanted, request(), case)
            return
        with wire.Http(self.address) as connection:
            want(wanted, connection.ask(request)[0], case)
            # What is whole leaves the connection as it was.
            if wanted == 400 and case.startswith("whole"):
                want(200, connection.ask(wire.get("/v2/health/live"))[0], f"after {case}")

    def of_predict(self):
        line = json.dumps(self.conversations[0])
        number = re.search(r": \[(-?[0-9.e-]+)", line)
        def with_number(text):
            return line[:number.start(1)] + text + line[number.end(1):]
        bodies = {"nothing": "", "no JSON": "no json", "half": line[:len(line) // 2], "two": line + line,
                  "NaN": with_number("NaN"), "infinity": with_number("1e999"),
                  "text for a number": with_number('"1"'), "one more number": with_number("1, 2"),
                  "deep": "[" * 100000, "no utterances": '{"id": "d", "utterances": []}',
                  "no UTF-8": b'{"id": "\xff\xfe", "utterances": [{"speaker": "A"}]}'}
        return [(f"whole predict, {name}",
                 wire.post(PREDICT, body if isinstance(body, bytes) else body.encode()), 400)
                for name, body in bodies.items()]

    def of_infer(self):
        inputs = wire.tensors(self.conversations[0])
        name, datatype, shape, raw = inputs[0]
        others = inputs[1:]
        nan = struct.pack("<f", float("nan"))
        bad = {"no inputs": [], "a negative size": [(name, datatype, [-1, *shape[1:]], raw), *others],
               "a huge size": [(name, datatype, [1 << 62, 4], raw), *others],
               "many sizes": [(name, datatype, [1] * 100, raw), *others],
               "another type": [(name, "INT8", shape, raw), *others],
               "too few bytes": [(name, datatype, shape, raw[:-4]), *others],
               "NaN": [(name, datatype, shape, nan + raw[4:]), *others],
               "a name twice": inputs + inputs[:1], "another name": [("nobody's", *inputs[0][1:]), *others],
               "no speakers": inputs[:-1],
               "a huge count": [*inputs, ("lengths", "INT64", [1], struct.pack("<q", 1 << 62))]}
        cases = []
        for case, tensors in bad.items():
            body, header = wire.infer_body(tensors)
            cases.append((f"whole infer, {case}", wire.post(INFER, body, headers=[header]), 400))
        cases.append(("whole infer, JSON beyond the body",
                      wire.post(INFER, b"{}", headers=["Inference-Header-Content-Length: 99999999999"]), 400))
        return cases

    def of_http(self):
        other = "/v2/models/nobody/infer"
        return [
            ("another model", wire.post("/cmerc/models/nobody/predict", b"{}"), 404),
            ("another model, infer", wire.post(other, b'{"inputs": []}'), 404),
            ("another path", wire.get("/nowhere"), 404),
            ("DELETE", b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
            ("chunks", wire.post(PREDICT, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"), 411),
            ("compressed", wire.post(PREDICT, b"x", headers=["Content-Encoding: gzip"]), 415),
            ("another host", wire.get("/metrics", host="elsewhere.example"), 403),
            ("a negative length", wire.post(PREDICT, b"").replace(b"Length: 0", b"Length: -5"), 400),
            ("two lengths", wire.post(PREDICT, b"ab", headers=["Content-Length: 1"]), 400),
        ]

    def of_grpc(self):
        inputs = wire.tensors(self.conversations[0])
        name, datatype, shape, raw = inputs[0]
        infer = self.soak.channel.unary_unary(GRPC_INFER)
        good = wire.infer_message(MODEL, inputs)
        cases = {
            "no message": (infer, b"\xff\xff", "INTERNAL"),
            "another model": (infer, wire.infer_message("nobody", inputs), "NOT_FOUND"),
            "too many values": (infer, good + wire.field(7, b"more"), "INVALID_ARGUMENT"),
            "a huge size": (infer, wire.infer_message(MODEL, [(name, datatype, [1 << 62, 4], raw), *inputs[1:]]),
                            "INVALID_ARGUMENT"),
            "no inputs": (infer, wire.field(1, MODEL), "INVALID_ARGUMENT"),
            "another method": (self.soak.channel.unary_unary(GRPC_INFER + "s"), b"", "UNIMPLEMENTED"),
        }
        return [(f"gRPC, {case}", lambda call=call, message=message: code(call, message), wanted)
                for case, (call, message, wanted) in cases.items()]


class Leaves(Kind):
    """Opens streams and connections, and leaves."""
    SHARE = 8

    def once(self, i):
        if i % 2 == 0 and self.soak.channel is not None:
            stream = Conversing(self.soak)
            stream.say(self.conversations[0]["utterances"][0])
            if i % 4 == 0:
                next(stream.call)
            stream.call.cancel()
            stream.end()
            return
        connection = wire.Http(self.address)
        if i % 4 == 1:
            # Asks, and does not wait for the answer.
            connection.socket.sendall(wire.post(PREDICT, json.dumps(self.conversations[0]).encode()))
        connection.close()


GOOD = [Predict, Infer] + ([Grpc, Converse] if grpc else [])
KINDS = [*GOOD, ByteByByte, BreaksOff, TooMuch, Nonsense, Leaves]
