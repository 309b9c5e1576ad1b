"""Solver files for the tests: tables near the first-order one, with every entry that a table can have."""

import json
import math

import numpy


def scaled_linear(start=0.00085, end=0.012, steps=1000):
    """alphas_cumprod of Stable Diffusion, in float64."""
    return numpy.cumprod(1 - numpy.linspace(math.sqrt(start), math.sqrt(end), steps) ** 2).tolist()


def discrete(alphas_cumprod):
    return {"kind": "discrete", "alphas_cumprod": list(alphas_cumprod)}


FLOW = {"kind": "flow", "t_eps": 0.001}
VP_LINEAR = {"kind": "vp-linear", "beta_0": 0.1, "beta_1": 20.0, "t_eps": 0.001}


def levels(schedule, t):
    """alpha and sigma at times t, as docs/math/schedules.md has them."""
    t = numpy.asarray(t)
    if schedule["kind"] == "flow":
        return 1 - t, t
    if schedule["kind"] == "vp-linear":
        b0, b1 = schedule["beta_0"], schedule["beta_1"]
        log_alpha = -t * t * (b1 - b0) / 4 - t * b0 / 2
    else:
        knots = schedule["alphas_cumprod"]
        times = (numpy.arange(len(knots)) + 1) / len(knots)
        log_alpha = numpy.interp(t, times, 0.5 * numpy.log(knots))
    return numpy.exp(log_alpha), numpy.sqrt(-numpy.expm1(2 * log_alpha))


def ddim_table(schedule, t, t_eval=None, sample_level=None):
    """A and B of the first-order step on times t: x' = (s'/s) x + (a' - a s'/s) m."""
    t = numpy.asarray(t, float)
    n = len(t) - 1
    t_eval = t[:-1] if t_eval is None else numpy.asarray(t_eval)
    alpha, sigma = levels(schedule, t)
    if sample_level is not None:
        alpha[-1], sigma[-1] = sample_level
    alpha_eval, sigma_eval = levels(schedule, t_eval)
    a, b = numpy.zeros((n, n)), numpy.zeros((n, n))
    for k in range(n):
        a[k, k] = sigma[k + 1] / sigma[k]
        b[k, k] = alpha[k + 1] - alpha[k] * sigma[k + 1] / sigma[k]
    return {
        "nfe": n,
        "method": "ddim",
        "t_eps": float(t[-1]),
        "prior_std": 1.0,
        "t": t.tolist(),
        "t_eval": t_eval.tolist(),
        "alpha": alpha[:-1].tolist(),
        "sigma": sigma[:-1].tolist(),
        "alpha_eval": alpha_eval.tolist(),
        "sigma_eval": sigma_eval.tolist(),
        "A": a.tolist(),
        "B": b.tolist(),
        "provenance": {},
    }


def noisy_table(schedule, nfe, seed, first=0.99, shape=None, bands=0, start=False):
    """A table as training leaves one: every coefficient off, the network's times shifted; with bands spectral."""
    draw = numpy.random.default_rng(seed)
    t = numpy.linspace(first, 0.02, nfe + 1)
    table = ddim_table(schedule, t, t[:-1] + draw.uniform(-0.008, 0.008, nfe))
    size = (nfe, nfe)
    if bands:
        size += (shape[0], bands)
    lower = numpy.tril(numpy.ones((nfe, nfe))).reshape((nfe, nfe) + (1,) * (len(size) - 2))
    for key in ("A", "B"):
        base = numpy.asarray(table[key]).reshape(lower.shape)
        table[key] = ((base + draw.uniform(-0.05, 0.05, size)) * lower).tolist()
    if bands or start:
        table["basis"] = basis(shape, bands or 1, draw)
    if start:
        table["start"] = {
            "gain": draw.uniform(0.7, 1, shape).tolist(),
            "offset": draw.normal(0, 0.1, shape).tolist(),
        }
    table["method"] = "test"
    return table


def basis(shape, bands, draw):
    rotation, _ = numpy.linalg.qr(draw.normal(size=(shape[0], shape[0])))
    edges = numpy.concatenate([[0], numpy.geomspace(0.1, math.sqrt(2), bands)]) if bands > 1 else [0, math.sqrt(2)]
    return {"shape": list(shape), "rotation": rotation.tolist(), "edges": list(edges)}


def solver(schedule, prediction, tables, guidance=1.0):
    spectral = any("basis" in table for table in tables)
    return {
        "gas_solver": 2 if spectral else 1,
        "schedule": schedule,
        "prediction": prediction,
        "guidance": guidance,
        "model": "",
        "model_sha256": "",
        "tables": tables,
    }


def write(path, content):
    path.write_text(json.dumps(content))
    return path
