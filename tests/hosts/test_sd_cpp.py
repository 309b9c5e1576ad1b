"""hosts/sd.cpp/gas_solver.patch, where $GAS_SD_CPP names a checkout of the commit that it is against: it applies, and
its sampler gives the samples of the program with stable-diffusion.cpp's tensors. Its own networks are not built."""

import os
import shutil
import subprocess
from pathlib import Path

import gas_table
import mixture_worker
import numpy
import pytest
import solvers
from conftest import SOURCE, relative_error
from test_table import SHAPE, worker


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """The compiled check program."""
    checkout = os.environ.get("GAS_SD_CPP")
    if not checkout:
        pytest.skip("GAS_SD_CPP does not name a checkout of stable-diffusion.cpp")
    folder = tmp_path_factory.mktemp("sd_cpp")
    shutil.copy(Path(checkout) / "CMakeLists.txt", folder)
    for part in ("src/core", "src/runtime"):
        shutil.copytree(Path(checkout) / part, folder / part)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "apply", SOURCE / "hosts/sd.cpp/gas_solver.patch"], cwd=folder, check=True)
    for name in ("gas_table.h", "gas_table.c"):
        shutil.copy(SOURCE / "hosts/c" / name, folder / "src/runtime")
    subprocess.run(["cc", "-std=c99", "-O1", "-c", "src/runtime/gas_table.c", "-o", "t.o"], cwd=folder, check=True)
    program = SOURCE / "tests/hosts/sd_cpp_check.cc"
    command = ["c++", "-std=c++17", "-O1", "-I", "src", program, "t.o", "-o", "check"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "check"


@pytest.mark.parametrize("kind", [{}, {"bands": 5, "start": True}])
@pytest.mark.parametrize("prediction, schedule", [("noise", "sd"), ("velocity", "sd"), ("flow", "flow")])
def test_sampler_is_the_program(prediction, schedule, kind, check, sampled, tmp_path):
    table = solvers.noisy_table(mixture_worker.SCHEDULES[schedule], 4, seed=3, shape=SHAPE, **kind)
    content = solvers.solver(mixture_worker.SCHEDULES[schedule], prediction, [table])
    path = solvers.write(tmp_path / "t.gas.json", content)
    theirs = sampled(worker(prediction, schedule), path, 4, tmp_path, "--class", 0, seeds="0")
    theirs["noise"].tofile(tmp_path / "noise")
    table = gas_table.read_solver(path).table()
    flow = schedule == "flow"
    sigmas = [s if flow else s / a for a, s in zip(table.alpha, table.sigma)] + [0.02]
    sizes = [str(int(flow)), *map(str, reversed(SHAPE)), "noise", "out"]
    subprocess.run([check, path, *sizes, *map(str, sigmas)], cwd=tmp_path, check=True)
    ours = numpy.fromfile(tmp_path / "out", "f4").reshape(1, *SHAPE)
    assert relative_error(ours, theirs["images"]) < 1e-4


def test_file_for_another_kind_of_model_is_refused(check, tmp_path):
    content = solvers.solver(solvers.FLOW, "flow", [solvers.noisy_table(solvers.FLOW, 2, seed=1)])
    path = solvers.write(tmp_path / "t.gas.json", content)
    numpy.zeros(4, "f4").tofile(tmp_path / "noise")
    command = [check, path, "0", "2", "2", "1", "noise", "out", "14", "1", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "made for another kind of model" in done.stderr
