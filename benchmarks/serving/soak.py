#!/usr/bin/env python3
"""Lets many clients of several kinds loose on a server, and watches it.

Usage: soak.py CMERC MODEL.pth CONVERSATIONS.jsonl [--requests=100000] [--swaps=N --other=OTHER.pth] [--margin_mb=16]
               [-- FLAG...]

Starts `CMERC serve` with the model (and FLAGs, for example --workers=4) and asks it, all at once, by the clients of
clients.py: good ones over HTTP and gRPC, one that sends a byte at a time, one that breaks off in the middle of a body, one
that sends too much, one that sends nonsense, one that opens streams and leaves. Wanted are: every good answer has the
bits of the first one to the same question; bad requests get the right 4xx; the memory is flat, that is, its maximum in
the last half of the requests is at most --margin_mb above that of the first half; in the end the server answers, and,
told to stop by SIGTERM, it answers what has begun, takes no more, and exits with status 0.

With --swaps the file of the model is replaced by OTHER's, and back, and loaded anew, N times under this load: no good
request may fail, and each answer has the bits of one of the two.

Needs Python, and grpcio (Debian: python3-grpcio) for what goes over gRPC, which it leaves out by name without it. The
exit status is 0 where all is as wanted, else 1.
"""

import argparse
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # the folder may be somebody else's
import clients
import wire

SAMPLES = 20


class Server:
    """A server that runs, and the file of its model."""

    def __init__(self, cmerc, model, flags, folder):
        self.model = os.path.join(folder, "model.pth")
        self.put(model)
        command = [cmerc, "serve", f"--model={clients.MODEL}={self.model}", "--http_port=0",
                   "--grpc_port=0", *clients.FLAGS, *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        # "listening at http://127.0.0.1:8000 and, for gRPC, at 127.0.0.1:8001"
        line = self.process.stdout.readline()
        if not line:
            raise clients.Wrong(f"the server does not start: {' '.join(command)}")
        http, grpc = line.split(" and, for gRPC, at ")
        self.http = ("127.0.0.1", int(http.rsplit(":", 1)[1]))
        self.grpc = grpc.strip()

    def put(self, model):
        """Replaces the file at once."""
        shutil.copyfile(model, self.model + ".new")
        os.replace(self.model + ".new", self.model)

    def load(self):
        with wire.Http(self.http) as connection:
            status, body = connection.ask(wire.post(f"/v2/repository/models/{clients.MODEL}/load", b"{}"))
        clients.want(200, status, f"load {body[:300]}")

    def size(self):
        """MB of memory that are there, threads, and open files."""
        place = f"/proc/{self.process.pid}"
        with open(f"{place}/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return (int(lines["VmRSS"].split()[0]) / 1024, int(lines["Threads"]),
                len(os.listdir(f"{place}/fd")))


class Soak:
    """What the clients share."""

    def __init__(self, server, conversations):
        self.http = server.http
        self.conversations = conversations
        self.channel = None
        if clients.grpc is not None:
            self.channel = clients.grpc.insecure_channel(server.grpc)
        self.known = collections.defaultdict(list)  # (kind, conversation) -> an answer of each model
        self.seen = collections.Counter()           # which of them, for all questions together
        self.done = 0
        self.failures = []
        self.changed = threading.Condition()

    def learn(self):
        """Asks every question for the first time."""
        for kind in clients.GOOD:
            client = kind(self)
            for n in range(len(self.conversations)):
                self.known[kind.__name__, n].append(client.answer(n))
            client.stop()

    def check(self, kind, n, answer):
        answers = self.known[kind, n]
        if answer not in answers:
            raise clients.Wrong(f"{kind} of conversation {n} is answered otherwise than before")
        with self.changed:
            self.seen[answers.index(answer)] += 1

    def count(self, failure=None):
        with self.changed:
            self.done += 1
            if failure is not None:
                self.failures.append(failure)
            self.changed.notify_all()

    def wait_for(self, done):
        """Until so many requests are done, or one has failed."""
        with self.changed:
            self.changed.wait_for(lambda: self.done >= done or self.failures)


def run_client(soak, kind, quota):
    client = None
    for i in range(quota):
        failure = None
        try:
            client = client or kind(soak)
            client.once(i)
        except Exception as error:  # of any library: whatever it is, this request has failed
            failure = f"{kind.__name__} {i}: {type(error).__name__}: {error}"
        soak.count(failure)
        if soak.failures:
            break
    if client is not None:
        client.stop()


def quotas(requests):
    """(kind, number of requests) for each client: two of those that have much to do."""
    total = sum(kind.SHARE for kind in clients.KINDS)
    for kind in clients.KINDS:
        share = max(1, requests * kind.SHARE // total)
        if kind in clients.GOOD and share > 1:
            yield kind, share // 2
            share -= share // 2
        yield kind, share


def swap(soak, server, models, swaps, total):
    """Loads the models in turn, evenly among the requests."""
    for k in range(swaps):
        soak.wait_for(total * (k + 1) // (swaps + 1))
        try:
            server.put(models[(k + 1) % 2])
            server.load()
        except Exception as error:
            soak.count(f"swap {k}: {type(error).__name__}: {error}")
        if soak.failures:
            return


def watch(soak, server, total):
    """Prints, and returns, how large the server is."""
    begin = time.monotonic()
    sizes = []
    print("requests  seconds  memory MB  threads  files")
    for k in range(SAMPLES + 1):
        soak.wait_for(total * k // SAMPLES)
        if soak.failures:
            break
        sizes.append(server.size())
        print(f"{soak.done:8}  {time.monotonic() - begin:7.1f}  {sizes[-1][0]:9.1f}  {sizes[-1][1]:7}  "
              f"{sizes[-1][2]:5}", flush=True)
    return sizes


def check_flat(sizes, margin):
    memory = [size[0] for size in sizes]
    first, last = (max(memory[:SAMPLES // 2 + 1]), max(memory[SAMPLES // 2 + 1:]))
    print(f"memory: at most {first:.1f} MB in the first half, {last:.1f} MB in the last: "
          f"{'flat' if last <= first + margin else 'NOT FLAT'} (margin {margin} MB)")
    if last > first + margin:
        raise clients.Wrong("the memory grows")


def check_drain(soak, server):
    """The server answers, and, told to stop, ends as it should."""
    soak.learn()  # each answer a second or third time
    for (kind, n), answers in soak.known.items():
        if answers[-1] not in answers[:-1]:
            raise clients.Wrong(f"{kind} of conversation {n} is answered otherwise in the end")
    request = wire.post(clients.PREDICT, json.dumps(soak.conversations[0]).encode())
    begun = [wire.Http(server.http) for _ in range(4)]
    for connection in begun:
        connection.socket.sendall(request[:-10])
    # Once this is answered those before have been accepted.
    with wire.Http(server.http) as connection:
        clients.want(200, connection.ask(wire.get("/v2/health/live"))[0], "live")
    server.process.send_signal(signal.SIGTERM)
    for connection in begun:
        connection.socket.sendall(request[-10:])
        status, body = connection.answer()
        clients.want(200, status, "a request that had begun")
        soak.check("Predict", 0, body)
        connection.close()
    clients.want(0, server.process.wait(timeout=60), "exit status")
    try:
        socket.create_connection(server.http).close()
    except ConnectionRefusedError:
        print("SIGTERM: what had begun is answered, exit status 0, nobody listens any more")
    else:
        raise clients.Wrong("somebody listens after the end")


def run(given, server):
    with open(given.conversations, encoding="utf-8") as file:
        soak = Soak(server, [json.loads(line) for line in file][:8])
    soak.learn()
    if given.swaps:
        for model in (given.other, given.model):
            server.put(model)
            server.load()
            if model == given.other:
                soak.learn()
    plan = list(quotas(given.requests))
    total = sum(quota for _, quota in plan)
    threads = [threading.Thread(target=run_client, args=(soak, kind, quota)) for kind, quota in plan]
    if given.swaps:
        threads.append(threading.Thread(
            target=swap, args=(soak, server, (given.model, given.other), given.swaps, total)))
    for thread in threads:
        thread.start()
    sizes = watch(soak, server, total)
    for thread in threads:
        thread.join()
    for failure in soak.failures:
        print(f"FAILED: {failure}")
    if soak.failures:
        return False
    shares = collections.Counter()
    for kind, quota in plan:
        shares[kind.__name__] += quota
    print("all as wanted:", ", ".join(f"{name} {count}" for name, count in shares.items()))
    if given.swaps:
        print(f"{given.swaps} swaps: {soak.seen[0]} answers by one model, {soak.seen[1]} by the other, none by "
              "anything else")
        if min(soak.seen[0], soak.seen[1]) == 0:
            raise clients.Wrong("one of the models has answered nothing")
    check_flat(sizes, given.margin_mb)
    check_drain(soak, server)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cmerc")
    parser.add_argument("model")
    parser.add_argument("conversations")
    parser.add_argument("--requests", type=int, default=100000)
    parser.add_argument("--swaps", type=int, default=0)
    parser.add_argument("--other")
    parser.add_argument("--margin_mb", type=float, default=16)
    # What follows "--" is the server's.
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given = parser.parse_args(sys.argv[1:end])
    given.flags = sys.argv[end + 1:]
    if bool(given.swaps) != bool(given.other):
        parser.error("--swaps and --other=OTHER.pth belong together")
    if clients.grpc is None:
        print("SKIPPED: gRPC: there is no grpcio (Debian: python3-grpcio)")
    with tempfile.TemporaryDirectory() as folder:
        server = None
        try:
            server = Server(given.cmerc, given.model, given.flags, folder)
            good = run(given, server)
        except clients.Wrong as error:
            print(f"FAILED: {error}")
            good = False
        finally:
            if server is not None and server.process.poll() is None:
                server.process.kill()
                server.process.wait()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
