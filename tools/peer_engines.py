#!/usr/bin/env python3
"""An engine that tools/bench_peers.py sets beside `gas`: one network in one dtype, asked by the requests of
gas_network_server (bench/network_server.cc), forward, gradient, gs and check.

    build/peers/bin/python tools/peer_engines.py ENGINE --network NAME --dtype float32 --threads 2 --edm FOLDER --work FOLDER

The engine `export` is none: it writes the files of those that read ONNX.
"""

import argparse
import json
import sys
import time
from pathlib import Path

EVALUATIONS = 4  # of an image, from a cold start, and of a solver in training


class Eager:
    def __init__(self, args):
        import peer_networks
        import torch

        self.torch = torch
        torch.set_num_threads(args.threads)
        dtype = getattr(torch, args.dtype)
        self.network = peer_networks.open_network(args.network, args.work / f"{args.network}.safetensors", dtype, args.edm)
        self.work, self.name = args.work, args.network
        self.known = {}

    def tensors(self, batch):
        if batch not in self.known:
            from safetensors.torch import load_file

            tensors = load_file(self.work / f"{self.name}-{batch}.safetensors")
            inputs = [t.contiguous(memory_format=self.torch.channels_last) if t.dim() == 4 else t
                      for t in self.network.inputs(tensors)]
            self.known[batch] = tensors, inputs
        return self.known[batch]

    def forward(self, batch):
        with self.torch.no_grad():
            return self.network(*self.tensors(batch)[1])

    def gradient(self, batch):
        tensors, inputs = self.tensors(batch)
        x = inputs[0].detach().requires_grad_()
        self.network(x, *inputs[1:]).sum().backward()
        return self.network.state_gradient(x.grad, tensors)

    def gs(self, batch):
        """An iteration of a loop that differentiates what the Generalized Solver's does: the states and the network's
        times, by a table of free coefficients and times, with Adam."""
        torch, n = self.torch, EVALUATIONS
        noise = self.tensors(batch)[0]["state"]
        if not hasattr(self, "solver"):
            times = torch.linspace(4.0, -4.0, n + 1, dtype=torch.float64)[:n]  # log sigma
            self.solver = [torch.nn.Parameter(p) for p in (
                times, torch.zeros(n, dtype=torch.float64), torch.eye(n, dtype=torch.float64),
                torch.full((n, n), 1.0 / n, dtype=torch.float64))]
            self.adam = torch.optim.Adam(self.solver, lr=1e-3)
        times, offsets, a, b = self.solver
        states, predictions = [noise * times[0].exp().float()], []
        for i in range(n):
            level = (times[i] + offsets[i]).exp().float().expand(batch)
            predictions.append(self.network(states[i], level))
            row = zip(a[i].float(), states), zip(b[i].float(), predictions)
            states.append(sum(weight * tensor for terms in row for weight, tensor in terms))
        states[-1].square().mean().backward()
        torch.nn.utils.clip_grad_norm_(self.solver, 1.0)
        self.adam.step()
        self.adam.zero_grad()


class Compiled(Eager):
    def __init__(self, args):
        super().__init__(args)
        import torch._inductor.config

        torch._inductor.config.freezing = True
        self.eager, self.network_of = self.network, {}

    def forward(self, batch):
        inputs = self.tensors(batch)[1]
        if batch not in self.network_of:
            self.torch._dynamo.reset()
            self.network_of[batch] = self.torch.compile(self.eager, mode="max-autotune", dynamic=False)
        with self.torch.no_grad():
            return self.network_of[batch](*inputs)


def onnx_file(work, network, batch):
    return work / f"{network}-{batch}.onnx"


def inputs_as_arrays(args, batch):
    """Of an exported network, which the export has left beside it."""
    from safetensors.numpy import load_file

    tensors = load_file(onnx_file(args.work, args.network, batch).with_suffix(".inputs"))
    return [tensors[key] for key in sorted(tensors)]


class OnnxRuntime:
    def __init__(self, args):
        self.args, self.known = args, {}

    def forward(self, batch):
        import onnxruntime

        if batch not in self.known:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.args.threads
            session = onnxruntime.InferenceSession(
                str(onnx_file(self.args.work, self.args.network, batch)), options, providers=["CPUExecutionProvider"])
            arrays = inputs_as_arrays(self.args, batch)
            self.known[batch] = session, {i.name: a for i, a in zip(session.get_inputs(), arrays)}
        session, inputs = self.known[batch]
        return session.run(None, inputs)[0]


class OpenVino:
    def __init__(self, args):
        self.args, self.known = args, {}

    def forward(self, batch):
        import openvino

        if batch not in self.known:
            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.args.threads,
                        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.args.dtype]}
            model = openvino.Core().compile_model(onnx_file(self.args.work, self.args.network, batch), "CPU", settings)
            self.known[batch] = model.create_infer_request(), inputs_as_arrays(self.args, batch)
        request, inputs = self.known[batch]
        return request.infer(inputs)[0]


class Export(Eager):
    """Not an engine: its answer to `forward` is the ONNX file of a batch, with what it is evaluated at."""

    def forward(self, batch):
        from safetensors.torch import save_file

        inputs = tuple(t.contiguous() for t in self.tensors(batch)[1])
        target = onnx_file(self.work, self.name, batch)
        with self.torch.no_grad():
            self.torch.onnx.export(self.network, inputs, str(target), dynamo=True, external_data=False, verbose=False)
        save_file({str(i): t for i, t in enumerate(inputs)}, target.with_suffix(".inputs"))


ENGINES = {"eager": Eager, "compiled": Compiled, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "export": Export}


def serve(args):
    """The requests of gas_network_server."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    engine = ENGINES[args.engine](args)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        what, batch, *files = line.split()
        if what == "check":
            import numpy
            from safetensors.numpy import save_file

            found = {"output": numpy.asarray(engine.forward(int(batch)))}
            if hasattr(engine, "gradient") and args.engine == "eager":
                found["gradient"] = numpy.asarray(engine.gradient(int(batch)))
            save_file({key: numpy.ascontiguousarray(value) for key, value in found.items()}, files[1])
            print("{}", file=answers, flush=True)
            continue
        start = time.perf_counter()
        getattr(engine, what)(int(batch))
        print(json.dumps({"seconds": time.perf_counter() - start}), file=answers, flush=True)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--network", required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--edm", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    serve(parsed())
