"""What `gas export` writes works where it is copied to: nothing of the source tree is on the path."""

import subprocess
import sys
import types

import comfy_stand_in
import mixture_worker
import pytest
import solvers
from conftest import SOURCE, relative_error
from test_table import SHAPE, worker

torch = pytest.importorskip("torch")


@pytest.fixture
def exported(gas, tmp_path):
    """A folder for a target, of a spectral table for Stable Diffusion's schedule."""
    table = solvers.noisy_table(mixture_worker.SCHEDULES["sd"], 4, seed=2, shape=SHAPE, bands=4, start=True)
    path = solvers.write(tmp_path / "s.gas.json", solvers.solver(mixture_worker.SCHEDULES["sd"], "noise", [table]))

    def run(target):
        gas("export", "--solver", path, "--to", target, "--out", tmp_path / "folder")
        return tmp_path / "folder"

    return run


def python(folder, code):
    """Runs code with the folder, and nothing else of ours, on the path."""
    command = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_diffusers_folder(exported):
    pytest.importorskip("diffusers")
    folder = exported("diffusers")
    code = f"""
from gas_diffusers import GasScheduler
one = GasScheduler.from_file({str(folder / "solver.gas.json")!r})
two = GasScheduler.from_pretrained({str(folder)!r})
assert one.solver.tables == two.solver.tables
print(len(two.timesteps), two.config.prediction_type)
"""
    assert python(folder, code) == "4 epsilon\n"


def test_k_diffusion_folder(exported, sampled, tmp_path):
    folder = exported("k-diffusion")
    theirs = sampled(worker("noise", "sd"), folder / "solver.gas.json", 4, tmp_path, "--class", 0)
    torch.save(torch.from_numpy(theirs["noise"]), tmp_path / "noise.pt")
    code = f"""
import torch
from gas_k_diffusion import get_sigmas, sample_gas
from gas_table import read_solver
solver = read_solver({str(folder / "solver.gas.json")!r})
sigmas = get_sigmas(solver.table(4))

def model(x, sigma):  # the worker's data: N(0.5, 0.25)
    v = 0.25 + sigma[0] ** 2
    return 0.5 + 0.25 / v * (x - 0.5)

noise = torch.load({str(tmp_path / "noise.pt")!r})
torch.save(sample_gas(model, noise * sigmas[0], sigmas, disable=True, solver=solver), {str(tmp_path / "x.pt")!r})
"""
    python(folder, code)
    assert relative_error(torch.load(tmp_path / "x.pt").numpy(), theirs["images"]) < 1e-4


def test_comfyui_folder(exported, monkeypatch):
    folder = exported("comfyui")
    monkeypatch.setitem(sys.modules, "comfy", types.ModuleType("comfy"))
    monkeypatch.setitem(sys.modules, "comfy.samplers", comfy_stand_in)
    monkeypatch.syspath_prepend(folder.parent)
    package = __import__("folder")  # as ComfyUI does with each folder of custom_nodes
    node = package.NODE_CLASS_MAPPINGS["GasSolver"]
    assert node.INPUT_TYPES()["required"]["file"] == (["solver.gas.json"],)
    model = comfy_stand_in.model("noise", solvers.scaled_linear(), None)
    _, sigmas, sampler = node().load(model, "solver.gas.json", 4)
    assert len(sigmas) == 5 and sampler.sampler_function is not None


def test_folder_of_the_hosts_is_a_node(monkeypatch, tmp_path):
    (tmp_path / "gas_worker").symlink_to(SOURCE / "hosts/python")
    monkeypatch.syspath_prepend(tmp_path)
    assert "GasWorker" in __import__("gas_worker").NODE_CLASS_MAPPINGS


def test_sd_cpp_says_what_is_lost(gas, exported, tmp_path):
    with pytest.raises(AssertionError, match="coefficients for each of 4 frequency bands; .*the spectral start"):
        exported("sd.cpp")
    said = gas(
        "export", "--solver", tmp_path / "s.gas.json", "--to", "sd.cpp", "--approximate", "--out", tmp_path / "levels"
    )
    assert "lost of 4: the spectral start" in said
