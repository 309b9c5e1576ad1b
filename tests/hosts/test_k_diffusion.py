"""sample_gas with the denoisers of k-diffusion, and the node of ComfyUI, against `gas sample`."""

import importlib
import os
import sys
import threading
import time
import types

import numpy
import pytest

torch = pytest.importorskip("torch")

import comfy_stand_in
import gas_comfyui
import gas_comfyui_worker
import gas_k_diffusion
import gas_table
import mixture_worker
import solvers
from conftest import SOURCE, relative_error
from test_table import SHAPE, worker

ALPHAS = solvers.scaled_linear()
KINDS = {"scalar": {}, "spectral": {"bands": 5, "start": True}}


def network(prediction, schedule=solvers.discrete(ALPHAS)):
    """The worker's network as a function of states and the times that networks are told."""

    def evaluate(x, times, cond=None):
        t = float(times.flatten()[0])
        t = t if schedule["kind"] == "flow" else (t + 1) / len(ALPHAS)
        alpha, sigma = solvers.levels(schedule, t)
        level = gas_table.Level(t, float(alpha), float(sigma))
        return torch.from_numpy(mixture_worker.predict(prediction, x.numpy(), level, None))

    return evaluate


def solver_file(path, prediction, schedule, nfe=5, **kind):
    table = solvers.noisy_table(schedule, nfe, seed=3, shape=SHAPE, **kind)
    return solvers.write(path, solvers.solver(schedule, prediction, [table]))


# ---- k-diffusion ----


@pytest.fixture(scope="module")
def external():
    return pytest.importorskip("k_diffusion.external")


def compvis(external, prediction):
    model = types.SimpleNamespace(alphas_cumprod=torch.tensor(ALPHAS), apply_model=network(prediction))
    denoiser = {"noise": external.CompVisDenoiser, "velocity": external.CompVisVDenoiser}[prediction]
    return denoiser(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prediction", ["noise", "velocity"])
def test_k_diffusion_is_the_program(prediction, kind, external, sampled, tmp_path):
    path = solver_file(tmp_path / "t.gas.json", prediction, solvers.discrete(ALPHAS), **KINDS[kind])
    theirs = sampled(worker(prediction, "sd"), path, 5, tmp_path, "--class", 0)
    solver = gas_table.read_solver(path)
    sigmas = gas_k_diffusion.get_sigmas(solver.table())
    x = torch.from_numpy(theirs["noise"]) * sigmas[0]
    steps = []
    ours = gas_k_diffusion.sample_gas(
        compvis(external, prediction),
        x,
        sigmas,
        {"cond": None},
        callback=steps.append,
        disable=True,
        solver=solver,
    )
    assert relative_error(ours.numpy(), theirs["images"]) < 1e-4
    assert [step["i"] for step in steps] == [0, 1, 2, 3, 4] and steps[0]["denoised"].shape == x.shape


def test_last_sigmas_begin_later(external, tmp_path):
    path = solver_file(tmp_path / "t.gas.json", "noise", solvers.discrete(ALPHAS))
    solver = gas_table.read_solver(path)
    table = solver.table()
    sigmas = gas_k_diffusion.get_sigmas(table)
    image, noise = torch.full((1, *SHAPE), 0.5), torch.randn(1, *SHAPE)
    model = compvis(external, "noise")
    ours = gas_k_diffusion.sample_gas(model, image + sigmas[2] * noise, sigmas[2:], disable=True, solver=solver)
    run = gas_table.Run(table, "noise", begin=2)
    state = table.alpha[2] * image + table.sigma[2] * noise
    for n in (2, 3, 4):
        level = table.level(n)
        state = run.advance(state, network("noise")(state, torch.tensor(level.t * 1000 - 1)))
    assert relative_error(ours, state) < 1e-4


def test_sigmas_of_another_solver_are_refused(tmp_path):
    solver = gas_table.read_solver(solver_file(tmp_path / "t.gas.json", "noise", solvers.discrete(ALPHAS)))
    sigmas = gas_k_diffusion.get_sigmas(solver.table())
    sigmas[1] *= 1.001
    with pytest.raises(gas_table.SolverError, match="are those of none of its tables"):
        gas_k_diffusion.sample_gas(None, None, sigmas, solver=solver)


@pytest.mark.parametrize("prediction", gas_table.PREDICTIONS)
def test_output_is_recovered_from_what_the_host_made_of_it(prediction):
    level = gas_table.Level(0.5, 0.6, 0.7)  # nothing normalised
    x0, eps = torch.randn(4), torch.randn(4)
    x = 0.6 * x0 + 0.7 * eps
    outputs = {"data": x0, "noise": eps, "velocity": 0.6 * eps - 0.7 * x0, "flow": eps - x0}
    assert torch.allclose(gas_k_diffusion.network_output(prediction, level, x, x0), outputs[prediction], atol=1e-5)


def test_times_that_the_host_lacks_are_told(external):
    with pytest.warns(UserWarning, match="at time -0.50, the host goes from 0 to 999"):
        gas_k_diffusion._level_at(1000, gas_table.Level(0.0005, 1, 0.01), lambda t: torch.tensor(0.03))


# ---- ComfyUI: by a stand-in of the interfaces that the node uses, and itself where $GAS_COMFYUI names it ----


@pytest.fixture(params=("stand-in", "ComfyUI"))
def comfy(request, monkeypatch):
    if request.param == "ComfyUI":
        if not os.environ.get("GAS_COMFYUI"):
            pytest.skip("GAS_COMFYUI does not name a checkout of ComfyUI")
        return importlib.import_module("comfy_real")
    monkeypatch.setitem(sys.modules, "comfy", types.ModuleType("comfy"))
    monkeypatch.setitem(sys.modules, "comfy.samplers", comfy_stand_in)
    monkeypatch.setitem(sys.modules, "comfy.model_management", comfy_stand_in)
    return comfy_stand_in


def loaded(comfy, monkeypatch, tmp_path, model, path):
    monkeypatch.setattr(gas_comfyui, "FOLDER", tmp_path)
    return gas_comfyui.GasSolver().load(model, path.name)


CASES = [("noise", "sd"), ("velocity", "sd"), ("flow", "flow")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prediction, schedule", CASES)
def test_node_is_the_program(prediction, schedule, kind, comfy, sampled, tmp_path, monkeypatch, caplog):
    content = mixture_worker.SCHEDULES[schedule]
    path = solver_file(tmp_path / "t.gas.json", prediction, content, **KINDS[kind])
    theirs = sampled(worker(prediction, schedule), path, 5, tmp_path, "--class", 0)
    model = comfy.model(prediction, ALPHAS, network(prediction, content))
    patched, sigmas, sampler = loaded(comfy, monkeypatch, tmp_path, model, path)
    noise = torch.from_numpy(theirs["noise"])
    ours = comfy.sample_custom(patched, sampler, sigmas, noise, torch.zeros_like(noise))
    assert relative_error(ours.numpy(), theirs["images"]) < 1e-4
    assert not caplog.records


def test_node_at_the_most_noise_takes_the_noise_as_it_was_scaled(comfy, sampled, tmp_path, monkeypatch):
    """There ComfyUI multiplies with sqrt(1 + sigma^2), not with sigma: 0.2 % more."""
    content = solvers.discrete(ALPHAS)
    table = solvers.noisy_table(content, 3, seed=1, first=1.0)
    table["t_eval"][0] = 1.0
    for key, value in zip(("alpha_eval", "sigma_eval"), solvers.levels(content, 1.0)):
        table[key][0] = float(value)
    path = solvers.write(tmp_path / "t.gas.json", solvers.solver(content, "noise", [table]))
    theirs = sampled(worker("noise", "sd"), path, 3, tmp_path, "--class", 0)
    model = comfy.model("noise", ALPHAS, network("noise"))
    patched, sigmas, sampler = loaded(comfy, monkeypatch, tmp_path, model, path)
    noise = torch.from_numpy(theirs["noise"])
    ours = comfy.sample_custom(patched, sampler, sigmas, noise, torch.zeros_like(noise))
    assert relative_error(ours.numpy(), theirs["images"]) < 1e-4


def test_rounded_times_are_told(comfy, tmp_path, monkeypatch, caplog):
    path = solver_file(tmp_path / "t.gas.json", "noise", solvers.discrete(ALPHAS))
    model = comfy.model("noise", ALPHAS, network("noise"))
    _, sigmas, sampler = loaded(comfy, monkeypatch, tmp_path, model, path)
    noise = torch.randn(1, *SHAPE)
    comfy.sample_custom(model, sampler, sigmas, noise, torch.zeros_like(noise))
    assert "times are rounded by up to 0." in caplog.text


@pytest.mark.parametrize(
    "prediction, alphas, message",
    [
        ("velocity", ALPHAS, "for a network that predicts noise, that of ComfyUI predicts velocity"),
        ("flow", ALPHAS, "predicts flow"),
        ("noise", solvers.scaled_linear(end=0.02), "noise level of step"),
        ("noise", solvers.scaled_linear(steps=500), "for a model of 1000 steps"),
    ],
)
def test_node_refuses_other_models(prediction, alphas, message, comfy, tmp_path, monkeypatch):
    path = solver_file(tmp_path / "t.gas.json", "noise", solvers.discrete(ALPHAS))
    model = comfy.model(prediction, alphas, None)
    with pytest.raises(gas_table.SolverError, match=message):
        loaded(comfy, monkeypatch, tmp_path, model, path)


def test_node_reads_no_file_outside_of_its_folder(comfy, tmp_path, monkeypatch):
    with pytest.raises(gas_table.SolverError, match="not among the solver files"):
        loaded(comfy, monkeypatch, tmp_path, None, types.SimpleNamespace(name="../t.gas.json"))


def test_continuous_times_invert_the_hosts_levels(comfy):
    sampling = gas_comfyui.continuous(comfy.model("noise", ALPHAS, None).get_model_object("model_sampling"))
    times = torch.tensor([0.0, 0.25, 17.5, 500.125, 998.9, 999.0])
    assert numpy.allclose(sampling.timestep(sampling.sigma(times)), times, atol=1e-3)


# ---- The node that serves ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prediction, schedule", CASES)
def test_worker_node_serves_the_model(prediction, schedule, kind, comfy, sampled, tmp_path):
    """What `gas` samples through the node is what it samples of the same network itself, until the user cancels."""
    content = mixture_worker.SCHEDULES[schedule]
    path = solver_file(tmp_path / "t.gas.json", prediction, content, **KINDS[kind])
    expected = sampled(worker(prediction, schedule), path, 5, tmp_path, "--class", 0)
    model = comfy.model(prediction, ALPHAS, network(prediction, content))
    place = tmp_path / "gas.sock"
    patched, sigmas, sampler = gas_comfyui_worker.GasWorker().load(model, str(place))
    ended = []

    def serve():
        try:
            comfy.sample_custom(patched, sampler, sigmas, torch.zeros(1, *SHAPE), torch.zeros(1, *SHAPE))
        except BaseException as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        while not place.exists() and thread.is_alive():
            time.sleep(0.01)
        connect = f"exec:'{sys.executable}' '{SOURCE}/hosts/python/gas_socket.py' '{place}'"
        found = sampled(connect, path, 5, tmp_path, "--force")
        again = sampled(connect, path, 5, tmp_path, "--force")
    finally:
        importlib.import_module("comfy.model_management").interrupt_current_processing()
        thread.join(timeout=30)
    assert relative_error(found["images"], expected["images"]) < 1e-4
    assert (found["images"] == again["images"]).all()
    assert ended and "Interrupt" in ended[0]


def test_worker_node_replaces_no_file(comfy, tmp_path):
    place = tmp_path / "mine.txt"
    place.write_text("mine")
    with pytest.raises(gas_table.SolverError, match="is no socket"):
        gas_comfyui_worker.listening(str(place))
    assert place.read_text() == "mine"
