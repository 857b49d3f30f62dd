#!/usr/bin/env python3
"""Writes golden.tfevents beside it with TensorBoard's own writer. Needs `pip install tensorboard`; run as
`python3 generate.py`. event_writer_test.cc builds the same events.
"""

import os

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

EVENTS = [
    event_pb2.Event(wall_time=1.5, file_version="brain.Event:2"),
    event_pb2.Event(
        wall_time=2.5,
        step=3,
        summary=summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(tag="loss/total", simple_value=0.1),
                summary_pb2.Summary.Value(tag="test/weighted_f1", simple_value=0.75),
            ]
        ),
    ),
    event_pb2.Event(
        wall_time=3.5,
        step=2**40,
        summary=summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(
                    tag="gradient/weight",
                    histo=summary_pb2.HistogramProto(
                        min=-1, max=2, num=3, sum=1.5, sum_squares=5.25, bucket_limit=[0, 1, 3], bucket=[1, 1, 1]
                    ),
                )
            ]
        ),
    ),
]

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.tfevents")
with open(path, "wb") as file:
    writer = RecordWriter(file)
    for event in EVENTS:
        writer.write(event.SerializeToString(deterministic=True))
    writer.write(b"")
    writer.close()
