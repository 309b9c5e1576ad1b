"""Reads solver files of `gas` (*.gas.json) and samples with them.

One module, no installation: it needs Python 3.9 and the library whose arrays it is given, numpy or torch.

    solver = read_solver("solver.gas.json")
    images = sample(solver.table(6), solver.prediction, denoiser, noise)

`denoiser(x, level)` is the network: x [B,...] are states alpha x0 + sigma eps, level has t, alpha and sigma of the
evaluation, and the result is what the file's `prediction` says, of x's shape. docs/formats.md describes the file,
docs/math/step_table.md and docs/math/spectral.md the formulas.
"""

import json
import math
import re
import sys
from dataclasses import dataclass
from typing import NamedTuple, Optional

FORMATS = (1, 2)
PREDICTIONS = ("noise", "data", "velocity", "flow")
MAX_BYTES = 256 << 20
MAX_DEPTH = 64
MAX_SIDE, MAX_ENTRIES = 8192, 1 << 26
SCHEDULE_TOLERANCE = 1e-5  # of alpha and sigma: hosts compute noise levels in float32


class SolverError(ValueError):
    """A file that is no solver file, or one that does not fit what it is to be used for."""


class Level(NamedTuple):
    """The noise level at which the network is evaluated: a state there is alpha x0 + sigma eps."""

    t: float
    alpha: float
    sigma: float


@dataclass(frozen=True)
class Basis:
    """Frequency bands: channels are rotated, then the orthonormal DCT-II of each is taken."""

    shape: tuple  # (C, H, W) of a state
    rotation: list  # [C][C], row c is component c
    edges: list  # [K+1] ascending; band k holds radii edges[k] <= r < edges[k+1]

    @property
    def bands(self):
        return len(self.edges) - 1

    def band_of_frequency(self):
        """[H*W] the band of each frequency (f_y, f_x), by its radius sqrt((f_y/H)^2 + (f_x/W)^2)."""
        _, height, width = self.shape
        inner = self.edges[1:-1]
        radii = (math.sqrt((y / height) ** 2 + (x / width) ** 2) for y in range(height) for x in range(width))
        return [_bisect_right(inner, radius) for radius in radii]


@dataclass(frozen=True)
class Start:
    """The jump from noise to the first state: x_0 = inverse(gain * spectrum(prior_std * noise) + offset)."""

    gain: list  # [C][H][W]
    offset: list  # [C][H][W]


@dataclass(frozen=True)
class Table:
    """x_{n+1} = sum_{j<=n} a[n][j] x_j + b[n][j] m_j for n = 0..nfe-1; one evaluation of the network per row.

    Coefficients are numbers, or in a spectral table lists [C][K], one number for each component and band.
    """

    method: str
    t_eps: float
    prior_std: float
    t: list  # [nfe+1] times of the states, descending; the last is that of the sample
    alpha: list  # [nfe] at t
    sigma: list
    t_eval: list  # [nfe] times that the network is shown
    alpha_eval: list
    sigma_eval: list
    a: list
    b: list
    basis: Optional[Basis] = None
    start: Optional[Start] = None

    @property
    def nfe(self):
        return len(self.t_eval)

    @property
    def spectral(self):
        return isinstance(self.a[0][0], list)

    def level(self, n):
        """Of evaluation n, as the network is to see it."""
        return Level(self.t_eval[n], self.alpha_eval[n], self.sigma_eval[n])


@dataclass(frozen=True)
class Solver:
    """A solver file: tables by number of network evaluations, and what they are for."""

    name: str  # of the file, for messages
    schedule: dict
    prediction: str
    guidance: float
    guidance_range: Optional[tuple]
    model: str
    model_sha256: str
    tables: dict

    def table(self, nfe=None):
        """The table with `nfe` network evaluations, or the only one."""
        if nfe is None and len(self.tables) == 1:
            return next(iter(self.tables.values()))
        if nfe not in self.tables:
            has = ", ".join(str(n) for n in sorted(self.tables))
            raise SolverError(f"{self.name}: no table for nfe = {nfe}, it has {has}")
        return self.tables[nfe]

    @property
    def timesteps(self):
        """T of a network trained on T discrete steps at times (k + 1) / T, else None."""
        return len(self.schedule["alphas_cumprod"]) if self.schedule["kind"] == "discrete" else None


# ---- Reading ----


def read_solver(path):
    """Raises SolverError, which names the file and the entry, for anything that is not a solver file."""
    return solver_from_json(read_content(path), str(path))


def read_content(path):
    """What `solver_from_json` takes: the file's JSON, with the same errors for what is none."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SolverError(f"{path}: more than {MAX_BYTES} bytes")
    try:
        return _content(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise SolverError(f"{path}: not UTF-8 text: {error}") from None


def parse_solver(text, name="solver file"):
    """As read_solver, from text."""
    return solver_from_json(_content(text, name), name)


def _content(text, name):
    try:
        _check_depth(text)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SolverError(f"{name}: not JSON: {error}") from None
    except SolverError as error:
        raise SolverError(f"{name}: {error}") from None


def solver_from_json(content, name="solver file"):
    """As read_solver, from what a JSON reader made of the text."""
    try:
        return _solver(content, name)
    except SolverError as error:
        raise SolverError(f"{name}: {error}") from None


def _solver(content, name):
    if not isinstance(content, dict) or "gas_solver" not in content:
        raise SolverError("no entry gas_solver, so not a solver file")
    if _whole(content, "gas_solver") not in FORMATS:
        raise SolverError(f"format {content['gas_solver']}, this program reads 1 to {FORMATS[-1]}")
    prediction = _text(content, "prediction")
    if prediction not in PREDICTIONS:
        raise SolverError(f"prediction = {prediction!r}, must be one of {', '.join(PREDICTIONS)}")
    guidance, guidance_range = _number(content, "guidance"), None
    if "guidance_range" in content:
        guidance_range = tuple(_numbers(content, "guidance_range", (2,)))
        if not guidance_range[0] <= guidance <= guidance_range[1]:
            raise SolverError(f"guidance = {guidance}, must be in guidance_range = {list(guidance_range)}")
    entries = _entry(content, "tables")
    if not isinstance(entries, list) or not entries:
        raise SolverError("tables is not a list of at least one")
    tables = {}
    for i, entry in enumerate(entries):
        table = _table(entry, i)
        if table.nfe in tables:
            raise SolverError(f"two tables for nfe = {table.nfe}")
        tables[table.nfe] = table
    return Solver(
        name,
        _schedule(_entry(content, "schedule")),
        prediction,
        guidance,
        guidance_range,
        _text(content, "model", ""),
        _text(content, "model_sha256", ""),
        tables,
    )


def _schedule(content):
    if not isinstance(content, dict):
        raise SolverError("schedule is not an object")
    kind = _text(content, "kind")
    if kind == "discrete":
        last = 1.0
        values = _entry(content, "alphas_cumprod")
        if not isinstance(values, list) or not 2 <= len(values) <= 1_000_000:
            raise SolverError("alphas_cumprod is not a list of 2 to 1000000 numbers")
        for i, value in enumerate(_numbers(content, "alphas_cumprod", (len(values),))):
            if not 0 < value < last:
                raise SolverError(f"alphas_cumprod[{i}] = {value}, must be in (0, {last}), the list falls from below 1")
            last = value
    return content


def _table(entry, index):
    try:
        return _checked_table(entry)
    except SolverError as error:
        raise SolverError(f"tables[{index}]: {error}") from None


def _checked_table(entry):
    if not isinstance(entry, dict):
        raise SolverError("not an object")
    nfe = _whole(entry, "nfe")
    if not 1 <= nfe <= 10000:
        raise SolverError(f"nfe = {nfe}, must be in [1, 10000]")
    basis = _basis(_entry(entry, "basis")) if "basis" in entry else None
    shape = (nfe, nfe)
    if basis is not None and _depth(_entry(entry, "A")) == 4:
        shape += (basis.shape[0], basis.bands)
    start = None
    if "start" in entry:
        if basis is None:
            raise SolverError("a start without a basis")
        content = _entry(entry, "start")
        start = Start(_numbers(content, "gain", basis.shape), _numbers(content, "offset", basis.shape))
    levels = {key: _numbers(entry, key, (nfe,)) for key in ("alpha", "sigma", "t_eval", "alpha_eval", "sigma_eval")}
    table = Table(
        method=_text(entry, "method"),
        t_eps=_number(entry, "t_eps"),
        prior_std=_number(entry, "prior_std"),
        t=_numbers(entry, "t", (nfe + 1,)),
        a=_lower(entry, "A", shape),
        b=_lower(entry, "B", shape),
        basis=basis,
        start=start,
        **levels,
    )
    if not table.prior_std > 0:
        raise SolverError(f"prior_std = {table.prior_std}, must be positive")
    if any(later >= earlier for earlier, later in zip(table.t, table.t[1:])):
        raise SolverError("t must descend")
    return table


def _basis(content):
    if not isinstance(content, dict):
        raise SolverError("basis is not an object")
    shape = _entry(content, "shape")
    if (
        not isinstance(shape, list)
        or len(shape) != 3
        or not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= MAX_SIDE for n in shape)
    ):
        raise SolverError(f"basis: shape is not [C,H,W] of sizes in [1, {MAX_SIDE}]")
    if math.prod(shape) > MAX_ENTRIES:
        raise SolverError(f"basis: states of shape {shape}, must have at most {MAX_ENTRIES} entries")
    channels = shape[0]
    rotation = _numbers(content, "rotation", (channels, channels))
    for i in range(channels):
        for j in range(i + 1):
            product = math.fsum(x * y for x, y in zip(rotation[i], rotation[j]))
            if abs(product - (i == j)) > 1e-6:
                raise SolverError("basis: the rotation misses orthogonality by more than 1e-6")
    edges = _entry(content, "edges")
    if not isinstance(edges, list) or len(edges) < 2:
        raise SolverError("basis: edges is not a list of at least two numbers")
    edges = _numbers(content, "edges", (len(edges),))
    ascending = all(low < high for low, high in zip(edges, edges[1:]))
    if not ascending or edges[0] != 0 or edges[-1] < math.sqrt(2) - 1e-12:
        raise SolverError("basis: edges must ascend from 0 to at least sqrt(2)")
    return Basis(tuple(shape), rotation, edges)


def _lower(entry, key, shape):
    """A lower-triangular matrix of numbers, or of lists of them."""
    rows = _numbers(entry, key, shape)
    for n, row in enumerate(rows):
        if any(_any_nonzero(value) for value in row[n + 1 :]):
            raise SolverError(f"{key}: row {n} uses a later state or prediction, must be 0 above the diagonal")
    return rows


def _any_nonzero(value):
    return any(_any_nonzero(item) for item in value) if isinstance(value, list) else value != 0


def _depth(value):
    return 1 + _depth(value[0]) if isinstance(value, list) and value else 0


def _entry(content, key):
    if not isinstance(content, dict) or key not in content:
        raise SolverError(f"{key} is missing")
    return content[key]


def _text(content, key, default=None):
    value = content.get(key, default) if default is not None else _entry(content, key)
    if not isinstance(value, str):
        raise SolverError(f"{key} is not a text")
    return value


def _whole(content, key):
    value = _entry(content, key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SolverError(f"{key} is not a whole number")
    return value


def _number(content, key):
    return _finite(_entry(content, key), key)


def _finite(value, key):
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise SolverError(f"{key} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SolverError(f"{key} has a number beyond what a double holds")
    return number


def _numbers(content, key, shape):
    """Nested lists of exactly this shape, as floats."""
    return _nested(_entry(content, key), key, tuple(shape), tuple(shape))


def _nested(value, key, left, shape):
    if not left:
        return _finite(value, key)
    if not isinstance(value, list) or len(value) != left[0]:
        raise SolverError(f"{key} is not numbers of shape {list(shape)}")
    return [_nested(item, key, left[1:], shape) for item in value]


def _check_depth(text):
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
        depth += (token.group() in ("[", "{")) - (token.group() in ("]", "}"))
        if depth > MAX_DEPTH:
            raise SolverError(f"nested more than {MAX_DEPTH} deep at offset {token.start()}")


def _unique(pairs):
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        raise SolverError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in an object")
    return content


def _no_constant(word):
    raise SolverError(f"{word} is not a number")


# ---- Sampling ----


def sample(table, prediction, denoiser, noise):
    """The sample that the table makes of standard normal noise [B,...], in the noise's type and on its device."""
    run = Run(table, prediction)
    x = run.first_state(noise * table.prior_std)
    for n in range(table.nfe):
        x = run.advance(x, denoiser(x, table.level(n)))
    return x


def data_prediction_weights(prediction, level, alpha, sigma):
    """(w_x, w_F) of m = w_x x + w_F F: the network at `level` gives F, m is the data prediction at alpha, sigma."""
    a, s = level.alpha, level.sigma
    if not (alpha and s):
        raise SolverError(f"an evaluation with alpha = {alpha}, and sigma = {s} for the network, must not be 0")
    r, d = a / alpha, (s - sigma) / alpha
    if prediction == "noise":
        return 1 / alpha, -sigma / alpha
    if prediction == "data":
        return d / s, sigma / s * r
    if prediction == "velocity":
        return (a * r + s * d) / (a * a + s * s), -sigma * r / (a * a + s * s)
    if prediction == "flow":
        return (r + d) / (a + s), -sigma * r / (a + s)
    raise SolverError(f"prediction = {prediction!r}, must be one of {', '.join(PREDICTIONS)}")


class Run:
    """One run of a table, a step at a time. It keeps the states and data predictions that later rows read.

    A run may begin at a later evaluation, as image to image does: x is then a noisy image at that time, and the
    earlier states and predictions are taken from the straight path through x on which the prediction has always been
    the first one that the network makes. For a one-step method that changes nothing; for others it is what they would
    have seen if the network had not changed its mind.
    """

    def __init__(self, table, prediction, begin=0):
        if not 0 <= begin < table.nfe:
            raise SolverError(f"a run from evaluation {begin}, must be in [0, {table.nfe - 1}]")
        self.table, self.begin, self.n = table, begin, begin
        self._weights = [
            data_prediction_weights(prediction, table.level(n), table.alpha[n], table.sigma[n])
            for n in range(table.nfe)
        ]
        self._x, self._m = {}, {}
        self._transform = self._bands = None

    def first_state(self, state):
        """x_0 of `state`, which is prior_std times noise: the same, but for a table with a spectral start."""
        start = self.table.start
        if start is None:
            return state
        transform = self._transform_like(state)
        spectrum = transform.forward(state)
        return transform.inverse(_array(start.gain, state) * spectrum + _array(start.offset, state))

    def advance(self, x, output):
        """x_{n+1} from x_n and the network's output there. Arrays of a floating type, of the same shape."""
        n, table = self.n, self.table
        if n >= table.nfe:
            raise SolverError(f"evaluation {n} of a table with {table.nfe}")
        if tuple(output.shape) != tuple(x.shape):
            raise SolverError(
                f"network output of shape {list(output.shape)}, must be that of the state, {list(x.shape)}"
            )
        w_x, w_f = self._weights[n]
        m = x * w_x + output * w_f if w_x else output * w_f
        if n == self.begin and n > 0:
            self._assume_history(x, m)
        self._x[n], self._m[n] = self._coordinates(x), self._coordinates(m)
        total = None
        for j in range(n + 1):
            total = self._add(total, table.a[n][j], self._x.get(j))
            total = self._add(total, table.b[n][j], self._m.get(j))
        if total is None:
            return self._finish(n, x * 0)
        return self._finish(n, self._transform.inverse(total) if table.spectral else total)

    def _finish(self, n, state):
        self.n = n + 1
        self._forget(n)
        return state

    def _assume_history(self, x, m):
        alpha, sigma = self.table.alpha, self.table.sigma
        if not sigma[self.begin]:
            raise SolverError(f"a run from evaluation {self.begin}, where there is no noise")
        eps = (x - m * alpha[self.begin]) * (1 / sigma[self.begin])
        for j in range(self.begin):
            self._x[j] = self._coordinates(m * alpha[j] + eps * sigma[j])
            self._m[j] = self._coordinates(m)

    def _coordinates(self, values):
        return self._transform_like(values).forward(values) if self.table.spectral else values

    def _add(self, total, coefficient, values):
        if not _any_nonzero(coefficient):
            return total
        if self.table.spectral:
            coefficient = self._of_each_frequency(coefficient, values)
        term = values * coefficient
        return term if total is None else total + term

    def _of_each_frequency(self, coefficient, like):
        """[C][K] -> [C,H,W]."""
        if self._bands is None:
            self._bands = _indices(self.table.basis.band_of_frequency(), like)
        return _array(coefficient, like)[:, self._bands].reshape(self.table.basis.shape)

    def _transform_like(self, values):
        if self._transform is None:
            self._transform = Transform(self.table.basis, values)
        return self._transform

    def _forget(self, n):
        """What no row after n reads."""
        later = range(n + 1, self.table.nfe)
        for kept, rows in ((self._x, self.table.a), (self._m, self.table.b)):
            for j in [j for j in kept if not any(_any_nonzero(rows[i][j]) for i in later)]:
                del kept[j]


class Transform:
    """Channel rotation and orthonormal DCT-II of states [B,C,H,W], in the type and on the device of `like`."""

    def __init__(self, basis, like):
        if tuple(like.shape[1:]) != basis.shape or len(like.shape) != 4:
            raise SolverError(f"a spectral table for states of shape {list(basis.shape)}, not {list(like.shape[1:])}")
        self._rows, self._columns = (_array(_dct_matrix(n), like) for n in basis.shape[1:])
        self._rotation = _array(basis.rotation, like)

    def forward(self, x):
        return self._rows @ _rotated(self._rotation, x) @ self._columns.T

    def inverse(self, spectrum):
        return _rotated(self._rotation.T, self._rows.T @ spectrum @ self._columns)


def _rotated(rotation, x):
    batch, channels, height, width = x.shape
    return (rotation @ x.reshape(batch, channels, height * width)).reshape(x.shape)


def _dct_matrix(n):
    def entry(f, i):
        return math.sqrt((1 if f == 0 else 2) / n) * math.cos(math.pi / (2 * n) * f * (2 * i + 1))

    return [[entry(f, i) for i in range(n)] for f in range(n)]


def _bisect_right(values, x):
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if x < values[middle] else (middle + 1, high)
    return low


def _array(values, like):
    """`values` in the library, type and device of `like`."""
    torch = _torch_of(like)
    if torch is not None:
        return torch.tensor(values, dtype=like.dtype, device=like.device)
    import numpy

    return numpy.asarray(values, dtype=like.dtype)


def _indices(values, like):
    torch = _torch_of(like)
    if torch is not None:
        return torch.tensor(values, device=like.device)
    import numpy

    return numpy.asarray(values)


def _torch_of(array):
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else None


# ---- Hosts ----


def check_discrete_schedule(solver, alphas_cumprod, host):
    """Raises SolverError unless the solver is for a network trained with these alphas_cumprod [T]."""
    kind = solver.schedule["kind"]
    if kind != "discrete":
        raise SolverError(f"{solver.name}: for a schedule {kind!r}, the model of {host} has discrete steps")
    ours = solver.schedule["alphas_cumprod"]
    if len(ours) != len(alphas_cumprod):
        raise SolverError(f"{solver.name}: for a model of {len(ours)} steps, that of {host} has {len(alphas_cumprod)}")
    for k, (mine, theirs) in enumerate(zip(ours, alphas_cumprod)):
        difference = max(abs(math.sqrt(mine) - math.sqrt(theirs)), abs(math.sqrt(1 - mine) - math.sqrt(1 - theirs)))
        if difference > SCHEDULE_TOLERANCE:
            raise SolverError(
                f"{solver.name}: noise level of step {k} differs from that of {host} by {difference:.2g},"
                f" must be at most {SCHEDULE_TOLERANCE:g}"
            )


def check_prediction(solver, prediction, host):
    """Raises SolverError unless the solver is for networks that predict this."""
    if solver.prediction != prediction:
        raise SolverError(
            f"{solver.name}: for a network that predicts {solver.prediction}, that of {host} predicts {prediction}"
        )
