#!/usr/bin/env python3
"""Measures a server that runs: latency of one client, and throughput of many.

Usage: load.py URL FILE.jsonl [--clients=1,64] [--seconds=10] [--explain] [--token=TOKEN]

URL is that of a model: http://localhost:8000/cmerc/models/NAME/predict, or any other address that takes the same (a line
of JSON by POST; answers 200). Each client has a connection and sends one conversation of the file after another, each when
the answer to the one before has come. Prints a line for each number of clients. Needs Python alone; on a machine with few
processors it takes a part of them itself.
"""

import argparse
import json
import socket
import threading
import time
from urllib.parse import urlsplit


def read_answer(connection):
    """Returns the status of one answer with a Content-Length, and what came with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        head += more
    head, body = head.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), body


class Client(threading.Thread):
    def __init__(self, address, requests, first, until):
        super().__init__()
        self.address, self.requests, self.next, self.until = address, requests, first, until
        self.seconds, self.utterances, self.failures = [], 0, 0

    def run(self):
        with socket.create_connection(self.address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < self.until:
                request, utterances = self.requests[self.next % len(self.requests)]
                self.next += 1
                begin = time.perf_counter()
                connection.sendall(request)
                status, _ = read_answer(connection)
                self.seconds.append(time.perf_counter() - begin)
                self.utterances += utterances if status == 200 else 0
                self.failures += status != 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("file")
    parser.add_argument("--clients", default="1,64")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    url = urlsplit(given.url)
    path = url.path + ("?explain=true" if given.explain else "")
    token = f"Authorization: Bearer {given.token}\r\n" if given.token else ""
    requests = []
    with open(given.file, encoding="utf-8") as file:
        for line in file:
            body = line.encode()
            head = (f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\n{token}Content-Type: application/jsonl\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n")
            requests.append((head.encode() + body, len(json.loads(line)["utterances"])))
    print("clients  requests/s  utterances/s  p50 ms  p99 ms  not 200")
    for count in [int(one) for one in given.clients.split(",")]:
        begin = time.perf_counter()
        clients = [Client((url.hostname, url.port), requests, i, begin + given.seconds)
                   for i in range(count)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        took = time.perf_counter() - begin
        seconds = sorted(one for client in clients for one in client.seconds)
        at = lambda share: 1000 * seconds[min(len(seconds) - 1, int(share * len(seconds)))]
        print(f"{count:7}  {len(seconds) / took:10.1f}  {sum(c.utterances for c in clients) / took:12.0f}  "
              f"{at(.5):6.2f}  {at(.99):6.2f}  {sum(c.failures for c in clients):7}")


if __name__ == "__main__":
    main()
