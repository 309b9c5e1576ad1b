import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "hosts/python"), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def gas():
    """Runs the program: $GAS_PROGRAM, or that of build/release."""
    program = os.environ.get("GAS_PROGRAM", str(SOURCE / "build/release/gas"))

    def run(*arguments, status=0):
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def fixtures():
    """Networks of other programs: $GAS_FIXTURES, or those in the tree, which are fewer."""
    return Path(os.environ.get("GAS_FIXTURES") or SOURCE / "tests/fixtures")


@pytest.fixture(scope="session")
def sampled(gas):
    """Tensors that `gas sample` writes: latents or images, and the noise that they came from."""
    from safetensors.numpy import load_file

    def run(model, solver, nfe, folder, *arguments, seeds="0-3"):
        out = folder / "sample.safetensors"
        gas(
            "sample",
            "--model",
            model,
            "--solver",
            solver,
            "--nfe",
            nfe,
            "--seeds",
            seeds,
            "--format",
            "safetensors",
            "--out",
            out,
            *arguments,
        )
        return load_file(out)

    return run


def relative_error(actual, expected):
    """The largest difference over the largest value: networks of random weights are no denoisers, and states grow."""
    return float(abs(actual - expected).max() / abs(expected).max())
