"""A network with an exact formula, through a pipe: usage mixture_worker.py PREDICTION SCHEDULE C H W.

Data of two classes, each N(m_k, 0.25) in every pixel, m_k = (-1)^k 0.5.
"""

import sys

import numpy
import solvers
from gas_pipe import serve

VARIANCE = 0.25
SCHEDULES = {"vp": solvers.VP_LINEAR, "flow": solvers.FLOW, "sd": solvers.discrete(solvers.scaled_linear())}


def predict(prediction, x, level, labels):
    """What a network of this prediction gives for x, wherever it is."""
    a, s = level.alpha, level.sigma
    shape = (-1,) + (1,) * (x.ndim - 1)
    labels = numpy.zeros(len(x), int) if labels is None else labels
    mean = numpy.where(labels < 0, 0, numpy.where(labels % 2 == 0, 0.5, -0.5)).reshape(shape)
    x0 = mean + a * VARIANCE / (a * a * VARIANCE + s * s) * (x - a * mean)
    eps = (x - a * x0) / s
    return {"data": x0, "noise": eps, "velocity": a * eps - s * x0, "flow": eps - x0}[prediction].astype("f4")


if __name__ == "__main__":
    prediction, schedule = sys.argv[1:3]
    shape = [int(n) for n in sys.argv[3:]]
    serve(
        {
            "name": "two",
            "shape": shape,
            "classes": 2,
            "prediction": prediction,
            "schedule": SCHEDULES[schedule],
        },
        lambda x, level, labels: predict(prediction, x, level, labels),
    )
