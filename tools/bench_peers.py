#!/usr/bin/env python3
"""Sets `gas` beside PyTorch, torch.compile, ONNX Runtime and OpenVINO on the same weights (`make bench-peers`).

    build/peers/bin/python tools/bench_peers.py [--quick] [--gas FOLDER...] [--edm FOLDER] [--out docs/benchmarks.md]

Each engine is a process that answers requests one at a time, gas_network_server and this program with --worker. First
all outputs and gradients are compared with those of `gas` by direct convolutions in float32; an engine that differs
is an error. Then the engines take turns, so that whatever else the machine does meets all of them alike. What was
measured goes to build/peers-work/results.json, and as tables into the section of --out that SECTION names; the rest of
that file stays. --quick takes fewer batches and turns, and writes no section.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

SECTION = "## Beside other engines"
NETWORKS = {
    "edm-cifar10": "EDM's network for CIFAR-10, 55.7 million parameters, 32x32",
    "ldm-block": "One level of Stable Diffusion's U-Net: 320 channels at 32x32 with transformers",
}
PEERS = {
    "eager": "PyTorch {torch}, channels last",
    "compiled": "torch.compile {torch}, max-autotune, frozen",
    "onnxruntime": "ONNX Runtime {onnxruntime}",
    "openvino": "OpenVINO {openvino}, latency hint",
}
DTYPES = {"eager": ("float32", "bfloat16"), "compiled": ("float32", "bfloat16"), "onnxruntime": ("float32",),
          "openvino": ("float32", "bfloat16")}
# The largest difference to the reference, by the largest number of that. In bfloat16 PyTorch is off by 1e-2 and OpenVINO,
# which rounds norms and softmax too, by 7e-2.
TOLERANCE = {"float32": 1e-4, "bfloat16": 1.5e-1}
EVALUATIONS = 4  # of an image, from a cold start, and of a solver in training
PAUSE = 0.2  # in which the threads of the engine before stop to spin


# ---- What answers requests -------------------------------------------------------------------------------------------


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


WORKERS = {"eager": Eager, "compiled": Compiled, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "export": Export}


def serve(args):
    """The requests of gas_network_server."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    engine = WORKERS[args.worker](args)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        what, batch, *files = line.split()
        if what == "check":
            import numpy
            from safetensors.numpy import save_file

            found = {"output": numpy.asarray(engine.forward(int(batch)))}
            if hasattr(engine, "gradient") and args.worker == "eager":
                found["gradient"] = numpy.asarray(engine.gradient(int(batch)))
            save_file({key: numpy.ascontiguousarray(value) for key, value in found.items()}, files[1])
            print("{}", file=answers, flush=True)
            continue
        start = time.perf_counter()
        getattr(engine, what)(int(batch))
        print(json.dumps({"seconds": time.perf_counter() - start}), file=answers, flush=True)


# ---- Who asks ----------------------------------------------------------------------------------------------------------


class Process:
    """One engine with one network in one dtype."""

    def __init__(self, label, command, threads, log, environment=None):
        self.label = label
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **(environment or {})})
        self.hello = self.read("start")

    def read(self, request):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.label} ended at {request!r}: build/peers-work/workers.log says why")
        return json.loads(line)

    def ask(self, *words):
        request = " ".join(map(str, words))
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.read(request)

    def peak_mebibytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, args):
        self.args = args
        self.log = open(args.work / "workers.log", "w")
        self.versions = self.package_versions()
        self.results = {"machine": machine(args), "outputs": {}, "seconds": {}, "gs": {}, "cold": {}}

    @staticmethod
    def package_versions():
        from importlib.metadata import version

        return {name: version(name).split("+")[0] for name in ("torch", "onnxruntime", "openvino")}

    def engines(self):
        """Label -> name, and the folder of gas or none."""
        found = {}
        for folder in self.args.gas:
            for choice in ("auto", "direct"):
                found[f"gas {choice}, LibTorch {self.libtorch(folder)}"] = choice, folder
        for name in self.args.peers:
            found[PEERS[name].format(**self.versions)] = name, None
        return found

    def libtorch(self, folder):
        if not hasattr(self, "known_libtorch"):
            self.known_libtorch = {}
        if folder not in self.known_libtorch:
            network = self.args.work / f"{self.args.networks[0]}.safetensors"
            server = Process("gas", [self.server(folder), network, "float32", "direct"], self.args.threads, self.log)
            self.known_libtorch[folder] = server.hello["libtorch"]
            server.close()
        return self.known_libtorch[folder]

    @staticmethod
    def server(folder):
        return folder / "bench" / "gas_network_server"

    def open(self, label, network, dtype, gradients=False, environment=None):
        name, folder = self.engines()[label]
        if folder is None:
            command = [sys.executable, __file__, "--worker", name, "--network", network, "--dtype", dtype,
                       "--threads", str(self.args.threads), "--edm", self.args.edm, "--work", self.args.work]
        else:
            command = [self.server(folder), self.args.work / f"{network}.safetensors", dtype, name]
            command += [str(self.args.copies)] + (["gradients"] if gradients else [])
        return Process(label, command, self.args.threads, self.log, environment)

    def labels(self, dtype, with_gradients=False):
        return [label for label, (name, folder) in self.engines().items()
                if folder is not None or (dtype in DTYPES[name] and (name == "eager" or not with_gradients))]

    def make_files(self, network):
        path = self.args.work / f"{network}.safetensors"
        folder = self.args.gas[0]
        if not path.exists():
            subprocess.run([folder / "bench" / "gas_network_report", "--make", network, path], check=True)
        server = Process("gas", [self.server(folder), path, "float32", "direct", "0", "gradients"],
                         self.args.threads, self.log)
        for batch in {*self.args.batches, 1, 4}:
            inputs = self.args.work / f"{network}-{batch}.safetensors"
            server.ask("inputs", batch, inputs)
            server.ask("check", batch, inputs, self.args.work / f"{network}-{batch}.expected")
        server.close()
        if {"onnxruntime", "openvino"} & set(self.args.peers):
            command = [sys.executable, __file__, "--worker", "export", "--network", network, "--threads",
                       str(self.args.threads), "--edm", self.args.edm, "--work", self.args.work]
            export = Process("export", command, self.args.threads, self.log)
            for batch in {*self.args.batches, 1}:
                if not onnx_file(self.args.work, network, batch).exists():
                    export.ask("forward", batch)
            export.close()

    def compare(self, process, network, dtype, batch):
        """Refuses an engine that computes something else."""
        from safetensors.numpy import load_file

        inputs = self.args.work / f"{network}-{batch}.safetensors"
        out = self.args.work / "found.safetensors"
        process.ask("check", batch, inputs, out)
        expected, found = load_file(inputs.with_suffix(".expected")), load_file(out)
        for key, value in found.items():
            difference = float(abs(value - expected[key]).max() / abs(expected[key]).max())
            seen = self.results["outputs"].setdefault(network, {}).setdefault(dtype, {})
            seen[process.label] = max(difference, seen.get(process.label, 0))
            if not difference < TOLERANCE[dtype]:
                raise SystemExit(f"{process.label}, {network}, {dtype}, batch {batch}: {key} is off by "
                                 f"{difference:.1e} of its largest number, must be below {TOLERANCE[dtype]}")

    def interleaved(self, processes, request, batch, turns):
        """Seconds of each turn by label. The first call of each, which compiles and fills caches, is not counted."""
        for process in processes:
            process.ask(request, batch)
        seconds = {process.label: [] for process in processes}
        for turn in range(turns):
            first = turn % len(processes)
            for process in processes[first:] + processes[:first]:
                time.sleep(PAUSE)
                seconds[process.label].append(process.ask(request, batch)["seconds"])
        return seconds

    def forwards(self, network, dtype):
        processes = [self.open(label, network, dtype) for label in self.labels(dtype)]
        for batch in self.args.batches:
            for process in processes:
                self.compare(process, network, dtype, batch)
            self.note(network, f"forward {batch} {dtype}",
                      self.interleaved(processes, "forward", batch, self.args.turns), batch)
        for process in processes:
            process.close()

    def gradients(self, network):
        processes = [self.open(label, network, "float32", gradients=True)
                     for label in self.labels("float32", with_gradients=True)]
        for process in processes:
            self.compare(process, network, "float32", 4)
        self.note(network, "gradient 4 float32", self.interleaved(processes, "gradient", 4, self.args.turns), 4)
        if network == "edm-cifar10" and not self.args.quick:
            self.note(network, "gs 4 float32", self.interleaved(processes, "gs", 4, min(3, self.args.turns)), 1)
        for process in processes:
            process.close()

    def note(self, network, what, seconds, batch):
        by_label = {label: [s / batch for s in all_of] for label, all_of in seconds.items()}
        self.results["seconds"].setdefault(network, {})[what] = by_label
        for label, all_of in by_label.items():
            print(f"{network:12} {what:20} {label:45} {statistics.median(all_of):8.4f}", flush=True)

    def cold(self, network):
        """Of processes that begin: seconds to an image, and the most memory by then and after a batch of 4."""
        for label in self.labels("float32"):
            cache = self.args.work / "cold-cache"
            shutil.rmtree(cache, ignore_errors=True)
            process = self.open(label, network, "float32", environment={"TORCHINDUCTOR_CACHE_DIR": str(cache)})
            for _ in range(EVALUATIONS):
                process.ask("forward", 1)
            found = {"seconds": time.perf_counter() - process.started, "mebibytes 1": process.peak_mebibytes()}
            if 4 in self.args.batches:
                process.ask("forward", 4)
                found["mebibytes 4"] = process.peak_mebibytes()
            process.close()
            self.results["cold"].setdefault(network, {})[label] = found
            print(f"{network:12} cold {label:45} {found}", flush=True)

    def run(self):
        for network in self.args.networks:
            self.make_files(network)
            for dtype in self.args.dtypes:
                self.forwards(network, dtype)
            self.gradients(network)
            self.cold(network)
        return self.results

    def processor_times(self):
        """Prints seconds of user and system time of each engine's process for an image, forwards and gradients."""
        for network in self.args.networks:
            self.make_files(network)
            for dtype in self.args.dtypes:
                self.processor_times_of(network, "forward", dtype, self.args.batches)
            self.processor_times_of(network, "gradient", "float32", [4])

    def processor_times_of(self, network, what, dtype, batches):
        gradients = what == "gradient"
        engines = [self.open(label, network, dtype, gradients=gradients)
                   for label in self.labels(dtype, with_gradients=gradients)]
        for batch in batches:
            for engine in engines:
                self.compare(engine, network, dtype, batch)
                engine.ask(what, batch)  # the first is slower
            seconds = {engine.label: [] for engine in engines}
            for _ in range(self.args.turns):
                for engine in engines:
                    before = processor_seconds(engine.process.pid)
                    engine.ask(what, batch)
                    seconds[engine.label].append((processor_seconds(engine.process.pid) - before) / batch)
            for label, values in seconds.items():
                print(f"{network:12} {what} {batch} {dtype:9} {label:45} {cell(values)}", flush=True)
        for engine in engines:
            engine.close()


# ---- What is written -------------------------------------------------------------------------------------------------


def processor_seconds(pid):
    """User and system time of a process so far (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_bfloat16():
    return "avx512_bf16" in Path("/proc/cpuinfo").read_text()


def machine(args):
    info = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", info)
    extensions = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag}" in info]
    return {
        "processor": name[1].strip() if name else platform.processor(),
        "extensions": extensions,
        "threads": args.threads,
        "load": os.getloadavg()[0],
        "turns": args.turns,
    }


def cell(values):
    if not values:
        return "-"
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def labels_of(columns):
    found = {}
    for values in columns.values():
        found.update(dict.fromkeys(values))
    return list(found)


def seconds_tables(columns):
    """Medians with the least and the most, and how they compare with the best of the others."""
    short = {key: key.replace("forward ", "").replace("float32", "f32").replace("bfloat16", "bf16") for key in columns}
    labels = labels_of(columns)
    measured = table(["seconds an image", *short.values()],
                     [[label, *(cell(columns[key].get(label)) for key in columns)] for label in labels])
    rows = []
    for label in labels:
        if not label.startswith("gas"):
            continue
        row = [label]
        for values in columns.values():
            peers = [statistics.median(v) for name, v in values.items() if not name.startswith("gas")]
            ours = values.get(label)
            row.append(f"{statistics.median(ours) / min(peers):.2f}" if ours and peers else "-")
        rows.append(row)
    return measured, table(["by the best of the others", *short.values()], rows)


def section(results):
    m = results["machine"]
    text = [
        SECTION, "",
        f"`make bench-peers` measured this on {m['threads']} threads of {m['processor']} ({', '.join(m['extensions'])}). "
        f"The engines took turns, {m['turns']} each; the tables have medians, with the least and the most. The load of the "
        f"machine was {m['load']:.1f} when it began. `gas direct` has LibTorch's convolutions, `gas auto` what "
        "`--convolution auto` chooses.", "",
    ]
    for network, columns in results["seconds"].items():
        forward = {k: v for k, v in columns.items() if k.startswith("forward")}
        others = {k: v for k, v in columns.items() if not k.startswith("forward")}
        text += [f"### {NETWORKS[network]}", ""]
        for part in (forward, others):
            for written in seconds_tables(part) if part else ():
                text += [written, ""]
        if "gs 4 float32" in columns:
            text += [f"`gs`: seconds of an iteration of the Generalized Solver's training, {EVALUATIONS} evaluations, "
                     "batch 4; beside it a loop in PyTorch that differentiates the same things.", ""]
        cold = results["cold"].get(network, {})
        text += [f"From the start of a process to an image of {EVALUATIONS} evaluations, and the most resident memory. "
                 "torch.compile began without its cache; ONNX Runtime and OpenVINO read a file that was exported "
                 "before.", ""]
        text += [table(["", "seconds", "MiB at batch 1", "MiB at batch 4"],
                       [[label, f"{found['seconds']:.1f}", f"{found['mebibytes 1']:.0f}",
                         f"{found['mebibytes 4']:.0f}" if "mebibytes 4" in found else "-"]
                        for label, found in cold.items()]), ""]
        differences = results["outputs"][network]
        worst = {dtype: max(found.values()) for dtype, found in differences.items()}
        text += ["Largest difference of an output or gradient to `gas direct` in float32, by its largest number: "
                 + ", ".join(f"{value:.1e} in {dtype}" for dtype, value in worst.items()) + ".", ""]
    return "\n".join(text)


def replace_section(path, written):
    text = path.read_text() if path.exists() else "# Benchmarks\n"
    found = re.search(rf"^{re.escape(SECTION)}\n.*?(?=^## |\Z)", text, re.M | re.S)
    if found:
        text = text[: found.start()] + written + "\n" + text[found.end() :]
    else:
        text = text.rstrip() + "\n\n" + written
    path.write_text(text.rstrip() + "\n")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="batches 1 and 4, three turns, no section written")
    parser.add_argument("--gas", type=Path, nargs="+", help="build folders; those of make and make LIBTORCH=wheel")
    parser.add_argument("--edm", type=Path, default=Path("build/edm"), help="a checkout of NVlabs/edm")
    parser.add_argument("--work", type=Path, default=Path("build/peers-work"), help="folder for files on the way")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--dtypes", nargs="+", choices=TOLERANCE)
    parser.add_argument("--turns", type=int)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--copies", type=float, default=2.5, help="of weights, for gas auto")
    parser.add_argument("--processor-time", action="store_true",
                        help="print processor seconds of forwards and gradients alone: for a machine that is not quiet")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--network", choices=NETWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", choices=TOLERANCE, help=argparse.SUPPRESS)
    args = parser.parse_args()
    folders = [Path("build/release"), Path("build/wheel-release")]
    args.gas = args.gas or [folder for folder in folders if Bench.server(folder).exists()]
    args.batches = args.batches or ([1, 4] if args.quick else [1, 4, 16])
    args.turns = args.turns or (3 if args.quick else 7)
    args.dtypes = args.dtypes or ["float32"] + (["bfloat16"] if has_bfloat16() else [])
    return args


def main():
    args = parsed()
    if args.worker:
        return serve(args)
    if not args.gas:
        raise SystemExit("no build/release/bench/gas_network_server: run make bench-peers, or name a folder by --gas")
    args.work.mkdir(parents=True, exist_ok=True)
    if args.processor_time:
        return Bench(args).processor_times()
    results = Bench(args).run()
    (args.work / "results.json").write_text(json.dumps(results, indent=1))
    written = section(results)
    if args.quick:
        print(written)
    else:
        replace_section(args.out, written)


if __name__ == "__main__":
    main()
