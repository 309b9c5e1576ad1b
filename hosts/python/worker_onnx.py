"""Serves an ONNX file by ONNX Runtime: gas sample --model "exec:python worker_onnx.py mine.onnx" ...

mine.json lies beside it: name, shape, prediction, schedule and classes as docs/process-denoiser.md has them, and "time"
and "time_scale" as docs/bring-your-own-model.md. The inputs are, in this order, x [B,...], the time [B] and, with
classes, labels [B] int64; the output comes first. Usage: worker_onnx.py FILE [EXECUTION_PROVIDER]
"""

import json
import sys
from pathlib import Path

import numpy
import onnxruntime
from gas_pipe import serve, time_told

if __name__ == "__main__":
    path, providers = sys.argv[1], sys.argv[2:] or ["CPUExecutionProvider"]
    card = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(path, providers=providers)
    names = [value.name for value in session.get_inputs()]

    class Network:
        def predict(self, x, ask):
            time = numpy.full(len(x), time_told(card, ask), "f4")
            values = [x, time] if ask.labels is None else [x, time, ask.labels]
            return session.run(None, dict(zip(names, values)))[0]

    serve(card, Network())
