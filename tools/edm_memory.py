#!/usr/bin/env python3
"""Peak memory of sampling with an EDM network in PyTorch, to set beside that of `gas sample` (docs/memory.md).

Usage: edm_memory.py FOLDER MODEL.pkl BATCH: a checkout of NVlabs/edm, a network that unpickles with it, and how many
samples at once. Four Euler steps in float32 on the CPU. Unpickling runs the file's code: open only what you trust.
"""

import pickle
import resource
import sys

import torch


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(folder, model, batch):
    sys.path.insert(0, folder)
    with open(model, "rb") as file:
        network = pickle.load(file)["ema"].eval().requires_grad_(False)
    opened = peak_mib()
    levels = [80.0, 10.0, 1.0, 0.1, 0.002]
    shape = network.img_channels, network.img_resolution, network.img_resolution
    with torch.no_grad():
        x = torch.randn(int(batch), *shape) * levels[0]
        for level, next_level in zip(levels, levels[1:]):
            x0 = network(x, torch.tensor(level))
            x = x0 + (x - x0) * (next_level / level)
    print(f"batch {batch}: {peak_mib():.0f} MiB, {opened:.0f} once it is open")


if __name__ == "__main__":
    main(*sys.argv[1:])
