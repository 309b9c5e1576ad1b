"""Networks that Python serves to `gas` by version 2 of docs/process-denoiser.md."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import solvers
from conftest import SOURCE

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{SOURCE / 'hosts/python'}:{HERE}")


def command(script, *arguments):
    return "exec:exec " + " ".join(shlex.quote(str(part)) for part in (sys.executable, script, *arguments))


def offers(**hello):
    return command(HERE / "offers_worker.py", json.dumps(hello))


def checks_of(printed):
    """What `gas inspect` says of each check."""
    lines = [line.strip() for line in printed.splitlines()]
    return dict(line.removeprefix("ok: ").split(": ", 1) for line in lines if line.startswith("ok: "))


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "float16"))
def test_all_offers_are_kept(gas, dtype):
    checks = checks_of(gas("inspect", offers(dtype=dtype)))
    assert set(checks) == {
        "output",
        "repeats itself",
        "samples do not depend on each other",
        "requests by their numbers",
        "gradient",
        "decodes",
        "gradient of images",
        "encodes",
        "quits when its input ends",
    }


def test_images_of_texts_in_another_size(gas, tmp_path):
    out = tmp_path / "images"
    texts = ("--prompt", "four", "--negative", "no", "--guidance", 2, "--size", "24x16")
    gas("sample", "--model", offers(), *texts, "--nfe", 3, "--seeds", "0-3", "--out", out)
    png = (out / "000003.png").read_bytes()
    assert [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)] == [24, 16]


def test_an_exception_is_reported(gas, tmp_path):
    asked = ("--prompt", "refused", "--nfe", 2, "--seeds", "0", "--out", tmp_path / "s")
    said = gas("sample", "--model", offers(), *asked, status=6)
    assert 'answers with an error: "ValueError: this prompt is refused"' in said


def test_training_through_a_pipe(gas, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    served = ("--model", offers(), "--workers", 2)
    gas("teacher", *served, "--prompt", "four", "--nfe", 8, "--seeds", "0-31", "--out", data)
    steps = ("--held-out", 8, "--batch", 8, "--loss", "l2", "--iterations", 20)
    gas("train", *served, "--teacher", data, "--nfe", 2, *steps, "--out", run)
    assert (run / "solver.gas.json").exists()


def card(**more):
    return {"name": "linear", "shape": [6], "prediction": "noise", "schedule": solvers.VP_LINEAR, "time": "t", **more}


def test_torch_gives_the_gradient(gas, tmp_path):
    pytest.importorskip("torch")
    script = tmp_path / "mine.py"
    script.write_text(
        f"""
import torch
from gas_pipe import serve
from gas_torch import TorchNetwork

class Mine(TorchNetwork):
    def output(self, x, level, ask):
        return torch.sin(x * level.sigma[:, None]) * (1 + level.t[:, None]) / (2 + level.alpha[:, None])

serve({card()!r}, Mine())
""",
        encoding="utf-8",
    )
    assert "gradient" in checks_of(gas("inspect", command(script)))


def test_a_program_of_torch_export(gas, tmp_path):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, x, t, labels):
            return torch.tanh(x) * t[:, None] + 0.1 * labels[:, None]

    batch = torch.export.Dim("batch")
    example = (torch.zeros(3, 6), torch.zeros(3), torch.zeros(3, dtype=torch.int64))
    program = torch.export.export(Net(), example, dynamic_shapes=({0: batch}, {0: batch}, {0: batch}))
    torch.export.save(program, tmp_path / "mine.pt2")
    (tmp_path / "mine.json").write_text(json.dumps(card(classes=3)), encoding="utf-8")
    worker = SOURCE / "hosts/python/worker_export.py"
    assert "gradient" in checks_of(gas("inspect", command(worker, tmp_path / "mine.pt2")))


def test_an_onnx_file(gas, tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, ["b", 6]), value("t", TensorProto.FLOAT, ["b"])]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("Unsqueeze", ["t", "axis"], ["column"]),
        helper.make_node("Mul", ["x", "column"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", TensorProto.FLOAT, ["b", 6])], [axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "mine.onnx")
    (tmp_path / "mine.json").write_text(json.dumps(card()), encoding="utf-8")
    worker = SOURCE / "hosts/python/worker_onnx.py"
    checks = checks_of(gas("inspect", command(worker, tmp_path / "mine.onnx")))
    assert checks["output"].startswith("3 samples") and "gradient" not in checks
    out = tmp_path / "s.safetensors"
    asked = ("--nfe", 2, "--seeds", "0-1", "--format", "safetensors", "--out", out)
    gas("sample", "--model", command(worker, tmp_path / "mine.onnx"), *asked)
    assert out.exists()


def test_seeds_begin_with_the_noise_of_generators(sampled, tmp_path):
    """What `gas sample --seeds` begins with is what a pipeline of diffusers draws with a generator for each seed."""
    torch = pytest.importorskip("torch")
    drawing = pytest.importorskip("diffusers.utils.torch_utils")
    worker = command(HERE / "mixture_worker.py", "noise", "sd", 4, 6, 5)
    seeds = (0, 7, 2**32 - 1)
    noise = sampled(worker, "dpmpp-3m", 3, tmp_path, seeds=",".join(map(str, seeds)))["noise"]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    expected = drawing.randn_tensor((3, 4, 6, 5), generator=generators)
    # The last bits are those of a release's and a processor's logarithm and cosine.
    assert torch.allclose(torch.tensor(noise), expected, rtol=0, atol=1e-5)
