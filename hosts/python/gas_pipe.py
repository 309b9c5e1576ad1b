"""Serves a network to `gas` through a pipe (docs/process-denoiser.md, version 1). Needs numpy alone.

    serve({"name": "mine", "shape": [3, 32, 32], "prediction": "data", "schedule": {...}}, predict)

`predict(x, level, labels)` gets x [B,C,H,W] float32, the level's t, alpha and sigma, and labels [B] int64 (-1: none)
or None, and returns what `prediction` says, of x's shape.
"""

import json
import os
import sys
from typing import NamedTuple

import numpy


class Level(NamedTuple):
    t: float
    alpha: float
    sigma: float


def serve(hello, predict):
    """Answers requests until the input ends."""
    with _own_output() as replies:
        replies.write(json.dumps({"gas_denoiser": 1, **hello}, separators=(",", ":")).encode() + b"\n")
        replies.flush()
        for line in iter(sys.stdin.buffer.readline, b""):
            ask = json.loads(line)
            shape = [ask["batch"], *hello["shape"]]
            x = _read(shape, "<f4")
            labels = _read(shape[:1], "<i8") if ask["labels"] else None
            reply = numpy.asarray(predict(x, Level(ask["t"], ask["alpha"], ask["sigma"]), labels), "<f4")
            if list(reply.shape) != shape:
                raise ValueError(f"network output of shape {list(reply.shape)}, must be {shape}")
            replies.write(reply.tobytes())
            replies.flush()


def _own_output():
    """Standard output for replies alone: what libraries print goes to standard error, wherever they print it from."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return replies


def _read(shape, dtype):
    size = int(numpy.prod(shape)) * numpy.dtype(dtype).itemsize
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        raise EOFError(f"the request ends after {len(data)} of {size} bytes")
    return numpy.frombuffer(data, dtype).reshape(shape)
