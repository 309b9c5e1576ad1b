#!/usr/bin/env python3
"""Sets `gas` beside PyTorch, torch.compile, ONNX Runtime and OpenVINO on the same weights (`make bench-peers`).

    build/peers/bin/python tools/bench_peers.py [--quick] [--gas FOLDER...] [--edm FOLDER] [--out docs/benchmarks.md]

Each engine is a process that answers requests one at a time, gas_network_server and tools/peer_engines.py. First
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

from peer_engines import EVALUATIONS, onnx_file

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
PAUSE = 0.2  # in which the threads of the engine before stop to spin


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

    def processor_seconds(self):
        """User and system time so far (proc(5), stat)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, args):
        self.args = args
        self.log = open(args.work / "workers.log", "w")
        self.versions = self.package_versions()
        self.known_libtorch = {}
        self.results = {"machine": machine(args), "outputs": {}, "seconds": {}, "cold": {}}

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
            command = self.engine_command(name, network, dtype)
        else:
            command = [self.server(folder), self.args.work / f"{network}.safetensors", dtype, name]
            command += [str(self.args.copies)] + (["gradients"] if gradients else [])
        return Process(label, command, self.args.threads, self.log, environment)

    def engine_command(self, name, network, dtype="float32"):
        return [sys.executable, Path(__file__).with_name("peer_engines.py"), name, "--network", network, "--dtype", dtype,
                "--threads", str(self.args.threads), "--edm", self.args.edm, "--work", self.args.work]

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
            export = Process("export", self.engine_command("export", network), self.args.threads, self.log)
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
                seconds[process.label].append(self.seconds_of(process, request, batch))
        return seconds

    def seconds_of(self, process, request, batch):
        """On the clock, or of the processor."""
        if not self.args.processor_time:
            return process.ask(request, batch)["seconds"]
        before = process.processor_seconds()
        process.ask(request, batch)
        return process.processor_seconds() - before

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
        if network == "edm-cifar10" and not self.args.quick and not self.args.processor_time:
            self.note(network, "gs 4 float32", self.interleaved(processes, "gs", 4, min(3, self.args.turns)), 1)
        for process in processes:
            process.close()

    def note(self, network, what, seconds, batch):
        by_label = {label: [s / batch for s in all_of] for label, all_of in seconds.items()}
        self.results["seconds"].setdefault(network, {})[what] = by_label
        for label, all_of in by_label.items():
            print(f"{network:12} {what:20} {label:45} {cell(all_of)}", flush=True)

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
            if not self.args.processor_time:
                self.cold(network)
        return self.results


# ---- What is written -------------------------------------------------------------------------------------------------


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
    args = parser.parse_args()
    folders = [Path("build/release"), Path("build/wheel-release")]
    args.gas = args.gas or [folder for folder in folders if Bench.server(folder).exists()]
    args.batches = args.batches or ([1, 4] if args.quick else [1, 4, 16])
    args.turns = args.turns or (3 if args.quick else 7)
    args.dtypes = args.dtypes or ["float32"] + (["bfloat16"] if has_bfloat16() else [])
    return args


def main():
    args = parsed()
    if not args.gas:
        raise SystemExit("no build/release/bench/gas_network_server: run make bench-peers, or name a folder by --gas")
    args.work.mkdir(parents=True, exist_ok=True)
    results = Bench(args).run()
    if args.processor_time:
        return
    (args.work / "results.json").write_text(json.dumps(results, indent=1))
    written = section(results)
    if args.quick:
        print(written)
    else:
        replace_section(args.out, written)


if __name__ == "__main__":
    main()
