"""Serves a program of torch.export, with gradients: gas train --model "exec:python worker_export.py mine.pt2" ...

mine.json lies beside it: name, shape, prediction, schedule and classes as docs/process-denoiser.md has them, and "time"
and "time_scale" as docs/bring-your-own-model.md. The program is called with x [B,...], the time [B] and, with classes,
labels [B] int64; the batch must be a dynamic dimension. Usage: worker_export.py FILE [DEVICE]
"""

import json
import sys
from pathlib import Path

import torch
from gas_pipe import serve, time_told
from gas_torch import TorchNetwork


class Program(TorchNetwork):
    def __init__(self, path, card, device):
        super().__init__(device)
        self.card, self.module = card, torch.export.load(path).module().to(device)

    def output(self, x, level, ask):
        labels = [] if ask.labels is None else [torch.tensor(ask.labels, device=self.device)]
        return self.module(x, time_told(self.card, level), *labels)


if __name__ == "__main__":
    path, device = sys.argv[1], (sys.argv[2:] or ["cpu"])[0]
    card = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))
    serve(card, Program(path, card, device))
