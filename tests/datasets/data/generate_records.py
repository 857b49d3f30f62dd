#!/usr/bin/env python3
"""Writes conversations.records from conversations.jsonl, in plain Python: a second implementation of
the format in datasets/formats/record_file.h and of Protobuf's wire format. python3 generate_records.py"""

import json
import os
import struct
import zlib

FOLDER = os.path.dirname(os.path.abspath(__file__))
SPLITS = {"train": 1, "valid": 2, "test": 3}


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def streams_of(value):
    return value if isinstance(value[0], list) else [value]


def conversation(line):
    out = data(1, str(line["id"]))
    if isinstance(line["id"], int):
        out += number(2, 1)
    out += number(3, SPLITS[line["split"]])
    for utterance in line["utterances"]:
        message = data(1, utterance["speaker"]) + data(2, utterance["label"])
        if "text" in utterance:
            message += data(3, utterance["text"])
        out += data(4, message)
    for name in line["utterances"][0]["features"]:
        rows = [streams_of(u["features"][name]) for u in line["utterances"]]
        message = data(1, name) + number(2, len(rows[0][0]))
        previous = None
        for s in range(len(rows[0])):
            values = [value for row in rows for value in row[s]]
            packed = struct.pack("<%df" % len(values), *values)
            message += data(3, number(2, 1) if packed == previous else data(1, packed))
            previous = packed
        out += data(5, message)
    return out


def schema(lines):
    out = data(1, "conversations")
    for name, value in lines[0]["utterances"][0]["features"].items():
        streams = streams_of(value)
        out += data(2, data(1, name) + number(2, len(streams[0])) + number(3, len(streams)))
    utterances = [u for line in lines for u in line["utterances"]]
    for field, key in ((3, "label"), (4, "speaker")):
        for name in sorted({u[key] for u in utterances}):
            out += data(field, name)
    return out


def frame(message):
    size = struct.pack("<I", len(message))
    return size + struct.pack("<I", zlib.crc32(size + message)) + message


def main():
    with open(os.path.join(FOLDER, "conversations.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    out = b"\x89CMERC\r\n" + struct.pack("<I", 1) + frame(schema(lines))
    for line in lines:
        out += frame(conversation(line))
    end = struct.pack("<I", 0), struct.pack("<Q", len(lines))
    out += end[0] + struct.pack("<I", zlib.crc32(end[0] + end[1])) + end[1]
    with open(os.path.join(FOLDER, "conversations.records"), "wb") as file:
        file.write(out)


if __name__ == "__main__":
    main()
