"""hosts/sd.cpp/gas_solver.patch. Where $GAS_SD_CPP names a checkout of the commit that it is against: it applies, and its
sampler gives the samples of the program with stable-diffusion.cpp's tensors. Where $GAS_SD_CPP_PROGRAM names its
command-line program, built with the patch: from text to image, the whole program gives the images of `gas sample`.
"""

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


# ---- The whole program ----

IMAGE = (128, 128)
STATE = (4, 16, 16)
GUIDANCE = 3.0


@pytest.fixture(scope="module")
def program():
    """The command-line program."""
    path = os.environ.get("GAS_SD_CPP_PROGRAM")
    if not path:
        pytest.skip("GAS_SD_CPP_PROGRAM does not name the program of stable-diffusion.cpp, built with the patch")
    return path


@pytest.fixture(scope="module")
def pipeline(program, fixtures, tmp_path_factory):
    """A pipeline's folder that both programs read: Stable Diffusion 1 with random weights in float16, its text encoder
    and autoencoder of the published sizes, which stable-diffusion.cpp takes for granted, and a tenth of its U-Net."""
    if not (fixtures / "bpe_simple_vocab_16e6.txt.gz").exists():
        pytest.skip("GAS_FIXTURES does not name a folder with CLIP's merges, which the program has within it")
    import pipelines

    folder = tmp_path_factory.mktemp("stable_diffusion") / "sd"
    pipelines.sd1_for_sd_cpp(pipelines.tokenizer(fixtures, tmp_path_factory.mktemp("words")), folder, fixtures)
    return folder


@pytest.fixture
def images(program, pipeline, sampled, tmp_path):
    """Images [3,H,W] in [-1,1], clipped, of `gas sample` and of the program with the same prompt, noise and solver."""
    from PIL import Image

    def both(prompt, kind):
        schedule = solvers.discrete(solvers.scaled_linear())
        table = solvers.noisy_table(schedule, 4, seed=3, shape=STATE, **kind)
        path = solvers.write(tmp_path / "t.gas.json", solvers.solver(schedule, "noise", [table], GUIDANCE))
        size = f"{IMAGE[1]}x{IMAGE[0]}"
        asked = ("--prompt", prompt, "--guidance", GUIDANCE, "--size", size)
        expected = sampled(pipeline, path, 4, tmp_path, *asked, seeds="7")["images"][0].clip(-1, 1)
        table = gas_table.read_solver(path).table()
        levels = [s / a for a, s in zip(table.alpha, table.sigma)] + [0.0]
        command = [program, "-m", pipeline, "-p", prompt, "--cfg-scale", GUIDANCE, "-H", IMAGE[0], "-W", IMAGE[1]]
        command += ["--rng", "cpu", "--seed", 7, "--steps", 4, "--sampling-method", "euler"]
        command += ["--sigmas", ",".join(map(str, levels)), "-o", tmp_path / "out.png"]
        command += ["--extra-sample-args", f"gas_solver={path}"]
        subprocess.run(list(map(str, command)), check=True)
        pixels = numpy.asarray(Image.open(tmp_path / "out.png"), "f4").transpose(2, 0, 1)
        return pixels / 127.5 - 1, expected

    return both


# Half a grey level of 8 bits is 0.004, and the program computes in float16: seen 0.0057 at most.
@pytest.mark.parametrize("kind", [{}, {"bands": 5, "start": True}])
def test_whole_program_is_the_program(kind, images):
    ours, theirs = images("a photo of a red fox", kind)
    assert abs(ours - theirs).max() < 0.012
    other, _ = images("two dogs", kind)
    assert abs(other - theirs).max() > 0.1, "the prompt must matter"
