"""Serves a network to `gas` through a pipe (docs/process-denoiser.md). Needs numpy alone.

    serve({"name": "mine", "shape": [3, 32, 32], "prediction": "data", "schedule": {...}}, predict)

`predict(x, level, labels)` gets x [B,C,H,W] float32, the level's t, alpha and sigma, and labels [B] int64 (-1: none)
or None, and returns what `prediction` says, of x's shape.

An object with methods in place of the function serves version 2, for states of any rank. `predict(x, ask)` must be
there; each of the others is offered if it is:

    predict(x, ask) -> output                       x [B,...] float32, ask: Ask
    gradient(x, ask, output_gradient) -> (by x [B,...], by level [B,3]), the latter by t, alpha and sigma
    decode(x) -> images [B,3,H,W] in [-1,1]         the first line says {"decode": {"shape": [3, H, W]}}
    decode_gradient(x, image_gradient) -> by x
    encode(images) -> x
    condition(request) -> anything                  the first line says {"texts": true}; once for each request

An exception in a method is reported to `gas`, and the next request may come.
"""

import json
import math
import os
import sys
import traceback
from typing import Any, NamedTuple, Optional

import numpy

BFLOAT16 = "bfloat16"  # which numpy does not know: the upper halves of float32
DTYPES = {"float32": "<f4", "float16": "<f2", BFLOAT16: "<u2"}


class Level(NamedTuple):
    t: float
    alpha: float
    sigma: float


class Ask(NamedTuple):
    """What is asked of a batch beside its states."""

    t: float
    alpha: float
    sigma: float
    labels: Optional[numpy.ndarray]  # [B] int64, -1 for none
    guidance: Optional[float]  # the scale, if the first line says "guidance"
    conditions: Optional[list]  # what `condition` made of the request of each sample, with texts


def serve(hello, network):
    """Answers requests until the input ends. network: a function, or an object for version 2."""
    with _own_output() as replies:
        Server(hello, network).run(sys.stdin.buffer, replies)


class Server:
    """The protocol without its pipe: the first line, and an answer to each request, wherever it comes from."""

    def __init__(self, hello, network):
        if callable(network):
            first = {"gas_denoiser": 1, **hello}
            self._answer = _simple(hello, network)
        else:
            first = _offered(hello, network)
            self._answer = _Offers(first, network).answer
        self.first_line = json.dumps(first, separators=(",", ":")).encode() + b"\n"

    def run(self, requests, replies):
        """Answers the requests of one binary file in another, until they end."""
        replies.write(self.first_line)
        replies.flush()
        for line in iter(requests.readline, b""):
            replies.write(self.answer(line, requests.read))
            replies.flush()

    def answer(self, line, read):
        """The bytes that answer a request: its line, and read(n), which gives the next n bytes behind it."""
        return self._answer(json.loads(line), read)


def time_told(card, level):
    """What a network is told of a level, by the entries "time" and "time_scale" of its card, as a card of TorchScript
    has them: t, 1-t, timestep, sigma or half-log-snr."""
    steps = len(card["schedule"].get("alphas_cumprod", ()))
    times = {
        "t": lambda: level.t,
        "1-t": lambda: 1 - level.t,
        "timestep": lambda: level.t * steps - 1,
        "sigma": lambda: level.sigma / level.alpha,
        "half-log-snr": lambda: _log(level.alpha / level.sigma),
    }
    return card.get("time_scale", 1) * times[card.get("time", "t")]()


def _log(value):
    return value.log() if hasattr(value, "log") else math.log(value)  # a level may be of tensors of PyTorch


# ---- Version 1 ----


def _simple(hello, predict):
    def answer(ask, read):
        shape = [ask["batch"], *hello["shape"]]
        x = _numbers(read, shape, "<f4")
        labels = _numbers(read, shape[:1], "<i8") if ask["labels"] else None
        return _checked(predict(x, Level(ask["t"], ask["alpha"], ask["sigma"]), labels), shape).tobytes()

    return answer


# ---- Version 2 ----


def _offered(hello, network):
    first = {"gas_denoiser": 2, **hello}
    if hasattr(network, "gradient"):
        first.setdefault("gradient", True)
    if "decode" in first:
        if hasattr(network, "encode"):
            first["decode"] = {"encode": True, **first["decode"]}
        if hasattr(network, "decode_gradient"):
            first["decode"] = {"gradient": True, **first["decode"]}
    return first


class _Offers:
    """Requests of version 2 as calls of a network's methods."""

    def __init__(self, hello, network):
        self.dtype = hello.get("dtype", "float32")
        self.state_shape = hello["shape"]
        self.image_shape = hello.get("decode", {}).get("shape")
        self.texts = hello.get("texts", False)
        self.network = network
        self.conditions = {}

    def answer(self, ask, read):
        # All of a request is read before anything can go wrong.
        work = getattr(self, "_" + ask["op"])(ask, read)
        try:
            reply = work()
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            text = f"{type(error).__name__}: {error}"
            return json.dumps({"error": text[:1000]}).encode() + b"\n"
        return json.dumps({"bytes": len(reply)}).encode() + b"\n" + reply

    def _condition(self, ask, read):
        def work():
            for number in ask.get("forget", ()):
                self.conditions.pop(number, None)
            self.conditions[ask["number"]] = self.network.condition(ask["request"])
            return b""

        return work

    def _predict(self, ask, read):
        x, asked = self._inputs(ask, read)
        return lambda: self._packed(_checked(self.network.predict(x, asked()), x.shape))

    def _gradient(self, ask, read):
        x, asked = self._inputs(ask, read)
        output_gradient = _numbers(read, x.shape, "<f4")

        def work():
            by_x, by_level = self.network.gradient(x, asked(), output_gradient)
            return _checked(by_x, x.shape).tobytes() + _checked(by_level, [len(x), 3], "<f8").tobytes()

        return work

    def _decode(self, ask, read):
        x = self._unpacked(read, [ask["batch"], *ask["shape"]])
        return lambda: _checked(self.network.decode(x), self._images_of(ask)).tobytes()

    def _decode_gradient(self, ask, read):
        x = self._unpacked(read, [ask["batch"], *ask["shape"]])
        image_gradient = _numbers(read, self._images_of(ask), "<f4")
        return lambda: _checked(self.network.decode_gradient(x, image_gradient), x.shape).tobytes()

    def _images_of(self, ask):
        sides = self.image_shape[1:]
        if ask["shape"] != self.state_shape:  # of an image of another size
            factor = sides[0] // self.state_shape[1]
            sides = [side * factor for side in ask["shape"][1:]]
        return [ask["batch"], 3, *sides]

    def _encode(self, ask, read):
        images = _numbers(read, [ask["batch"], *ask["shape"]], "<f4")
        shape = list(self.state_shape)
        if ask["shape"] != self.image_shape:
            factor = self.image_shape[1] // shape[1]
            shape[1:] = [side // factor for side in ask["shape"][1:]]
        return lambda: self._packed(_checked(self.network.encode(images), [len(images), *shape]))

    def _inputs(self, ask, read):
        """The states, and a function that gives the rest: a request may have a number that is not known."""
        x = self._unpacked(read, [ask["batch"], *ask["shape"]])
        labels = _numbers(read, [ask["batch"]], "<i8") if ask["labels"] else None

        def asked():
            known = [self.conditions[number] for number in ask["requests"]] if self.texts else None
            return Ask(ask["t"], ask["alpha"], ask["sigma"], labels, ask.get("guidance"), known)

        return x, asked

    def _unpacked(self, read, shape):
        """float32 of the numbers in the pipe."""
        numbers = _numbers(read, shape, DTYPES[self.dtype])
        if self.dtype == BFLOAT16:
            return (numbers.astype("<u4") << 16).view("<f4")
        return numbers.astype("<f4")

    def _packed(self, numbers):
        if self.dtype != BFLOAT16:
            return numbers.astype(DTYPES[self.dtype]).tobytes()
        bits = numpy.ascontiguousarray(numbers, "<f4").view("<u4").astype("<u8")
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16  # to nearest, ties to even
        return numpy.where(numpy.isnan(numbers), 0x7FC0, rounded).astype("<u2").tobytes()


# ---- Both ----


def _own_output():
    """Standard output for replies alone: what libraries print goes to standard error, wherever they print it from."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return replies


def _checked(reply: Any, shape, dtype="<f4"):
    reply = numpy.asarray(reply, dtype)
    if list(reply.shape) != list(shape):
        raise ValueError(f"network output of shape {list(reply.shape)}, must be {list(shape)}")
    return reply


def _numbers(read, shape, dtype):
    size = int(numpy.prod(shape)) * numpy.dtype(dtype).itemsize
    data = read(size)
    if len(data) != size:
        raise EOFError(f"the request ends after {len(data)} of {size} bytes")
    return numpy.frombuffer(data, dtype).reshape(shape)
