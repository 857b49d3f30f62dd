#!/usr/bin/env python3
"""Measures a server that runs: latency of one client, and throughput of many.

Usage: load.py URL FILE.jsonl [--clients=1,64] [--seconds=10] [--explain] [--binary] [--token=TOKEN]

URL is that of a model: http://localhost:8000/cmerc/models/NAME/predict, or any other address that takes the same (a line
of JSON by POST; answers 200). With --binary it is http://localhost:8000/v2/models/NAME/infer, which is asked with
binary values. Each client has a connection and sends one conversation of the file after another, each when the answer
to the one before has come. Prints a line for each number of clients; "own %" is the time that this program itself
takes, of one processor: on a machine with few of them it takes that from the server. Needs Python alone.
"""

import argparse
import json
import sys
import threading
import time
from urllib.parse import urlsplit

sys.dont_write_bytecode = True  # the folder may be somebody else's
import wire


class Client(threading.Thread):
    def __init__(self, address, requests, first, until):
        super().__init__()
        self.address, self.requests, self.next, self.until = address, requests, first, until
        self.seconds, self.utterances, self.failures = [], 0, 0

    def run(self):
        with wire.Http(self.address) as connection:
            while time.perf_counter() < self.until:
                request, utterances = self.requests[self.next % len(self.requests)]
                self.next += 1
                begin = time.perf_counter()
                status, _ = connection.ask(request)
                self.seconds.append(time.perf_counter() - begin)
                self.utterances += utterances if status == 200 else 0
                self.failures += status != 200


def read_requests(given, url):
    """(bytes, number of utterances) for each conversation of the file."""
    path = url.path + ("?explain=true" if given.explain else "")
    token = [f"Authorization: Bearer {given.token}"] if given.token else []
    requests = []
    with open(given.file, encoding="utf-8") as file:
        for line in file:
            conversation = json.loads(line)
            body, form = line.encode(), "Content-Type: application/jsonl"
            if given.binary:
                body, form = wire.infer_body(wire.tensors(conversation))
            request = wire.post(path, body, url.netloc, [form, *token])
            requests.append((request, len(conversation["utterances"])))
    return requests


def measure(address, requests, count, seconds):
    begin, processor = time.perf_counter(), time.process_time()
    clients = [Client(address, requests, i, begin + seconds) for i in range(count)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = time.perf_counter() - begin
    own = (time.process_time() - processor) / took
    waits = sorted(one for client in clients for one in client.seconds)
    at = lambda share: 1000 * waits[min(len(waits) - 1, int(share * len(waits)))]
    print(f"{count:7}  {len(waits) / took:10.1f}  {sum(c.utterances for c in clients) / took:12.0f}  "
          f"{at(.5):6.2f}  {at(.99):6.2f}  {sum(c.failures for c in clients):7}  {100 * own:5.0f}",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("file")
    parser.add_argument("--clients", default="1,64")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--binary", action="store_true")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    url = urlsplit(given.url)
    requests = read_requests(given, url)
    print("clients  requests/s  utterances/s  p50 ms  p99 ms  not 200  own %", flush=True)
    for count in [int(one) for one in given.clients.split(",")]:
        measure((url.hostname, url.port), requests, count, given.seconds)


if __name__ == "__main__":
    main()
