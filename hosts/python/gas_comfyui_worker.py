"""A node of ComfyUI that serves what ComfyUI samples to `gas`.

Link the folder of this file into custom_nodes and start ComfyUI again. Connect MODEL, SIGMAS and SAMPLER of the node
"Gas worker" to SamplerCustom, with prompts, guidance and the size of an image as for sampling, and queue the prompt:
it serves until it is cancelled. Then, on the same machine,

    gas fit --model "exec:python FOLDER/gas_socket.py /tmp/gas.sock" --nfe 6 --out fit

The guidance is SamplerCustom's cfg, and all that changes the model is in: leave `--guidance` at 1. The image of the
served run means nothing.
"""

import os
import select
import socket
import stat

import torch

if __package__:
    from . import gas_table
    from .gas_comfyui import PREDICTIONS, alphas_cumprod_of, continuous, prediction_of
    from .gas_k_diffusion import host_sigma, network_output
    from .gas_pipe import Server
    from .gas_torch import hash_of
else:
    import gas_table
    from gas_comfyui import PREDICTIONS, alphas_cumprod_of, continuous, prediction_of
    from gas_k_diffusion import host_sigma, network_output
    from gas_pipe import Server
    from gas_torch import hash_of

TICK = 0.5  # seconds between looks at whether ComfyUI's user has cancelled


# ---- The node ----


class GasWorker:
    """The node."""

    CATEGORY = "sampling/custom_sampling"
    RETURN_TYPES = ("MODEL", "SIGMAS", "SAMPLER")
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        tooltip = "the path of a socket, made here; nobody but you may open it"
        return {"required": {"model": ("MODEL",), "path": ("STRING", {"default": "/tmp/gas.sock", "tooltip": tooltip})}}

    def load(self, model, path):
        from comfy.samplers import KSAMPLER

        sampling = model.get_model_object("model_sampling")
        model = model.clone()
        if served_prediction(sampling) != "flow":
            model.add_object_patch("model_sampling", continuous(sampling))
        return model, torch.tensor([float(sampling.sigma_max), 0.0]), KSAMPLER(sampler_that_serves(path))


def sampler_that_serves(path):
    """A function that KSAMPLER calls, and that samples nothing."""

    def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
        from comfy.model_management import throw_exception_if_processing_interrupted

        network = ComfyNetwork(model, x, extra_args or {})
        with listening(path) as listener:
            serve_all(listener, network.hello(), network, throw_exception_if_processing_interrupted)
        return torch.zeros_like(x)

    return sample


def served_prediction(sampling):
    prediction = prediction_of(sampling)
    if prediction not in PREDICTIONS.values():
        raise gas_table.SolverError(f"a model whose model_sampling is {prediction} cannot be served")
    return prediction


class ComfyNetwork:
    """What SamplerCustom evaluates at each step, guidance and all, as a network of gas_pipe."""

    def __init__(self, model, x, extra_args):
        self.model, self.extra_args = model, extra_args
        self.guider = model.inner_model
        self.sampling = self.guider.model_patcher.get_model_object("model_sampling")
        self.prediction = served_prediction(self.sampling)
        self.x = x

    def hello(self):
        inner = self.guider.inner_model
        if self.prediction == "flow":
            schedule = {"kind": "flow", "t_eps": 1e-3}
        else:
            schedule = {"kind": "discrete", "alphas_cumprod": alphas_cumprod_of(self.sampling)}
        return {
            "name": type(inner).__name__,
            "shape": list(self.x.shape[1:]),
            "prediction": self.prediction,
            "schedule": schedule,
            "weights": hash_of(inner.diffusion_model.state_dict()),
            "conditions": hash_of(tensors_of(self.guider.conds)),
            "cfg": getattr(self.guider, "cfg", None),
        }

    @torch.no_grad()
    def predict(self, x, ask):
        state = torch.tensor(x).to(self.x)
        flow = self.prediction == "flow"
        sigma = host_sigma(ask, flow)
        seen = state if flow else state / ask.alpha
        denoised = self.model(seen, self.x.new_full((len(x),), sigma), **self.extra_args)
        return network_output(self.prediction, ask, state, denoised).float().cpu().numpy()


def tensors_of(conditions):
    """By name, what networks are told besides states and times."""
    return {
        f"{side} {i} {name}": condition.cond
        for side, entries in conditions.items()
        for i, entry in enumerate(entries)
        for name, condition in entry.get("model_conds", {}).items()
        if torch.is_tensor(getattr(condition, "cond", None))
    }


# ---- Sockets ----


def listening(path):
    """A socket at the path, for this user alone. One of an earlier run is replaced."""
    if os.path.exists(path):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise gas_table.SolverError(f"{path}: is there, and is no socket")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen()
    return listener


def serve_all(listener, hello, network, check):
    """Serves all who connect, a request at a time, until check() raises."""
    connections = {}
    while True:
        ready, _, _ = select.select([listener, *connections], [], [], TICK)
        check()
        for each in ready:
            if each is listener:
                connection, _ = listener.accept()
                file, server = connection.makefile("rwb"), Server(hello, network)
                connections[connection] = file, server
                file.write(server.first_line)
                file.flush()
            elif not answered(*connections[each]):
                connections.pop(each)[0].close()
                each.close()


def answered(file, server):
    """Whether there was a request, and its reply could be written."""
    try:
        line = file.readline()
        if not line:
            return False
        file.write(server.answer(line, file.read))
        file.flush()
    except (EOFError, OSError):
        return False
    return True


NODE_CLASS_MAPPINGS = {"GasWorker": GasWorker}
NODE_DISPLAY_NAME_MAPPINGS = {"GasWorker": "Gas worker"}
