"""gas_table.py against the program: the same noise, network and solver give the same sample."""

import json
import sys

import gas_table
import mixture_worker
import numpy
import pytest
import solvers
from conftest import SOURCE, relative_error

SHAPE = (3, 6, 10)


def worker(prediction, schedule):
    path = f"PYTHONPATH='{SOURCE}/hosts/python'"
    here = SOURCE / "tests/hosts/mixture_worker.py"
    return f"exec:{path} '{sys.executable}' '{here}' {prediction} {schedule} {SHAPE[0]} {SHAPE[1]} {SHAPE[2]}"


def denoiser(prediction):
    return lambda x, level: mixture_worker.predict(prediction, x, level, None)


KINDS = {
    "scalar": {},
    "start": {"start": True},
    "spectral": {"bands": 5},
    "both": {"bands": 5, "start": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "prediction, schedule", [("data", "vp"), ("noise", "sd"), ("velocity", "sd"), ("flow", "flow")]
)
def test_sample_is_the_programs(prediction, schedule, kind, sampled, tmp_path):
    table = solvers.noisy_table(mixture_worker.SCHEDULES[schedule], 5, seed=3, shape=SHAPE, **KINDS[kind])
    path = solvers.write(
        tmp_path / "t.gas.json", solvers.solver(mixture_worker.SCHEDULES[schedule], prediction, [table])
    )
    theirs = sampled(worker(prediction, schedule), path, 5, tmp_path, "--class", 0)
    solver = gas_table.read_solver(path)
    noise = theirs["noise"]
    ours = gas_table.sample(solver.table(5), solver.prediction, denoiser(prediction), noise)
    assert ours.dtype == noise.dtype
    assert relative_error(ours, theirs["images"]) < 1e-5  # float32, five steps
    torch = pytest.importorskip("torch")
    tensors = gas_table.sample(
        solver.table(5),
        solver.prediction,
        lambda x, level: torch.from_numpy(denoiser(prediction)(x.numpy(), level)),
        torch.from_numpy(noise),
    )
    assert relative_error(tensors.numpy(), theirs["images"]) < 1e-5


def test_fitted_solver_of_the_program_is_read(gas, sampled, tmp_path):
    """What `gas fit` writes by default, student and provenance and all, and it is closer to the teacher than ddim."""
    model = worker("data", "vp")
    gas("teacher", "--model", model, "--nfe", 12, "--seeds", "0-31", "--states", "--out", tmp_path / "d")
    gas(
        "fit",
        "--model",
        model,
        "--teacher",
        tmp_path / "d",
        "--held-out",
        8,
        "--nfe",
        3,
        "--out",
        tmp_path / "f",
    )
    path = tmp_path / "f/solver.gas.json"
    theirs = sampled(worker("data", "vp"), path, 3, tmp_path, "--class", 0)
    solver = gas_table.read_solver(path)
    ours = gas_table.sample(solver.table(), solver.prediction, denoiser("data"), theirs["noise"])
    assert relative_error(ours, theirs["images"]) < 1e-5


def test_module_needs_neither_numpy_nor_torch_to_read(tmp_path):
    """Nor any package: the standard library alone."""
    import subprocess

    path = solvers.write(tmp_path / "t.gas.json", small())
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE / 'hosts/python')!r}); import gas_table; "
        f"print(gas_table.read_solver({str(path)!r}).table().nfe)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr


def test_files_of_every_format_are_read():
    files = sorted((SOURCE / "tests/fixtures/formats/solver").glob("*.gas.json"))
    solvers_read = [gas_table.read_solver(path) for path in files]
    assert {json.loads(path.read_text())["gas_solver"] for path in files} == {1, 2}
    for solver in solvers_read:
        for table in solver.tables.values():
            shape = table.basis.shape if table.basis else (3, 4, 4)
            noise = numpy.random.default_rng(0).normal(size=(1, *shape))
            assert numpy.isfinite(gas_table.sample(table, solver.prediction, lambda x, level: 0.1 * x, noise)).all()


# ---- A run that begins later ----


def exact(x, level):
    return mixture_worker.predict("data", x, level, None)


def test_later_begin_of_a_one_step_method_is_the_rest_of_the_run():
    solver = gas_table.solver_from_json(
        solvers.solver(solvers.FLOW, "data", [solvers.ddim_table(solvers.FLOW, [0.9, 0.6, 0.3, 0.01])])
    )
    table = solver.table()
    whole, rest = gas_table.Run(table, "data"), gas_table.Run(table, "data", begin=1)
    x = numpy.random.default_rng(1).normal(size=(2, 4))
    x = whole.advance(x, exact(x, table.level(0)))
    y = x
    for n in (1, 2):
        x, y = whole.advance(x, exact(x, table.level(n))), rest.advance(y, exact(y, table.level(n)))
    assert numpy.array_equal(x, y)


def test_later_begin_of_a_multistep_method_is_exact_where_the_prediction_is_constant():
    """Rows that use older states and predictions, as Adams' do: with data at one point the path is straight."""
    content = solvers.ddim_table(solvers.FLOW, [0.9, 0.6, 0.3, 0.01])
    a, b = numpy.asarray(content["A"]), numpy.asarray(content["B"])
    b[2, 2] *= 1.5
    b[2, 1] = -b[2, 2] / 3
    content["A"], content["B"] = a.tolist(), b.tolist()
    table = gas_table.solver_from_json(solvers.solver(solvers.FLOW, "data", [content])).table()
    point, noise = numpy.full((1, 4), 0.3), numpy.random.default_rng(2).normal(size=(1, 4))
    run = gas_table.Run(table, "data", begin=2)
    end = run.advance(table.alpha[2] * point + table.sigma[2] * noise, point)
    assert numpy.allclose(end, 0.99 * point + 0.01 * noise, atol=1e-12)


# ---- Hostile files ----


def small():
    return solvers.solver(
        solvers.FLOW,
        "flow",
        [solvers.noisy_table(solvers.FLOW, 3, seed=1, shape=(2, 3, 4), bands=2, start=True)],
    )


def with_table(**changes):
    content = small()
    content["tables"][0].update(changes)
    return content


def without(key):
    content = small()
    del content["tables"][0][key]
    return content


def in_basis(**changes):
    content = small()
    content["tables"][0]["basis"].update(changes)
    return content


HOSTILE = [
    ({}, "no entry gas_solver"),
    ([], "no entry gas_solver"),
    ({**small(), "gas_solver": 3}, "format 3, this program reads 1 to 2"),
    ({**small(), "gas_solver": True}, "gas_solver is not a whole number"),
    ({**small(), "prediction": "score"}, "must be one of noise, data"),
    ({**small(), "guidance": "7"}, "guidance is not a number"),
    ({**small(), "guidance_range": [2, 3]}, "guidance = 1.0, must be in guidance_range"),
    ({**small(), "schedule": []}, "schedule is not an object"),
    (
        {**small(), "schedule": {"kind": "discrete", "alphas_cumprod": [0.5, 0.6]}},
        r"alphas_cumprod\[1\] = 0.6",
    ),
    ({**small(), "tables": []}, "tables is not a list"),
    ({**small(), "tables": small()["tables"] * 2}, "two tables for nfe = 3"),
    (with_table(nfe=4), "is not numbers of shape"),
    (with_table(nfe=0), r"nfe = 0, must be in \[1, 10000\]"),
    (with_table(nfe=10**9), r"must be in \[1, 10000\]"),
    (with_table(prior_std=0), "prior_std = 0.0, must be positive"),
    (with_table(t=[0.9, 0.5, 0.5, 0.1]), "t must descend"),
    (with_table(t=[0.9, 0.5, 0.1]), r"t is not numbers of shape \[4\]"),
    (with_table(sigma=[1, 1, None]), "sigma is not a number"),
    (with_table(sigma=[1, 1, True]), "sigma is not a number"),
    (with_table(sigma=[1, 1, 10**400]), "sigma has a number beyond"),
    (with_table(A=[[0.0] * 3] * 3), "B is not a number"),
    (with_table(B=[[[[1.0] * 2] * 2] * 3] * 3), "B: row 0 uses a later state"),
    (without("basis"), "start without a basis"),
    (without("alpha_eval"), "alpha_eval is missing"),
    (in_basis(shape=[2, 3]), r"shape is not \[C,H,W\]"),
    (in_basis(shape=[2, 3, 9000]), r"sizes in \[1, 8192\]"),
    (in_basis(shape=[8192, 8192, 8192]), "at most 67108864 entries"),
    (in_basis(rotation=[[1, 0], [0, 1.1]]), "misses orthogonality"),
    (in_basis(edges=[0]), "at least two numbers"),
    (in_basis(edges=[0, 1.5, 1.2]), "must ascend"),
    (in_basis(edges=[0, 0.5, 1.2]), "must ascend from 0 to at least sqrt"),
]


@pytest.mark.parametrize("content, message", HOSTILE)
def test_hostile_content_is_refused_with_its_reason(content, message):
    with pytest.raises(gas_table.SolverError, match=f"^evil: .*{message}"):
        gas_table.parse_solver(json.dumps(content), "evil")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100000, "nested more than 64 deep"),
        ('{"a":1,"a":2}', "'a' stands twice"),
        ('{"gas_solver": NaN}', "NaN is not a number"),
        ('"' + "[" * 100 + '"', "no entry gas_solver"),
    ],
)
def test_hostile_text_is_refused_with_its_reason(text, message):
    with pytest.raises(gas_table.SolverError, match=f"^evil: .*{message}"):
        gas_table.parse_solver(text, "evil")


def test_states_of_another_shape_are_refused():
    table = gas_table.solver_from_json(small()).table()
    with pytest.raises(gas_table.SolverError, match=r"for states of shape \[2, 3, 4\], not \[2, 4, 3\]"):
        gas_table.sample(table, "flow", lambda x, level: x, numpy.zeros((1, 2, 4, 3)))
    with pytest.raises(gas_table.SolverError, match=r"network output of shape \[1\]"):
        gas_table.sample(table, "flow", lambda x, level: numpy.zeros(1), numpy.zeros((1, 2, 3, 4)))


def test_table_by_a_number_that_the_file_lacks():
    with pytest.raises(gas_table.SolverError, match="no table for nfe = 7, it has 3"):
        gas_table.solver_from_json(small()).table(7)
