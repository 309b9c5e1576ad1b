"""A node of ComfyUI that gives MODEL, SIGMAS and SAMPLER of a solver file, for SamplerCustom and its relatives.

ComfyUI tells a network with discrete steps the nearest whole one. A solver may have been fitted at times in between:
the MODEL that the node returns is told those. Without it the times are rounded, and a warning says by how much. Noise
on an image (img2img) works by splitting the sigmas: the sampler begins where they do.
"""

import logging
import math
from pathlib import Path

import torch

if __package__:
    from . import gas_table
    from .gas_k_diffusion import TIME_TOLERANCE, get_sigmas, is_flow, sample_gas, table_of
else:
    import gas_table
    from gas_k_diffusion import TIME_TOLERANCE, get_sigmas, is_flow, sample_gas, table_of

FOLDER = Path(__file__).parent
# ComfyUI's classes for what a network predicts, by name.
PREDICTIONS = {"EPS": "noise", "X0": "data", "V_PREDICTION": "velocity", "CONST": "flow"}


def solver_files():
    return sorted(path.name for path in FOLDER.glob("*.gas.json"))


class GasSolver:
    """The node."""

    CATEGORY = "sampling/custom_sampling"
    RETURN_TYPES = ("MODEL", "SIGMAS", "SAMPLER")
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls):
        steps = (
            "INT",
            {"default": 0, "min": 0, "max": 10000, "tooltip": "network evaluations; 0: the file's only table"},
        )
        return {"required": {"model": ("MODEL",), "file": (solver_files(),), "steps": steps}}

    def load(self, model, file, steps=0):
        from comfy.samplers import KSAMPLER

        if file not in solver_files():
            raise gas_table.SolverError(f"{file}: not among the solver files of {FOLDER}")
        solver = gas_table.read_solver(FOLDER / file)
        table = solver.table(steps or None)
        sampling = model.get_model_object("model_sampling")
        check_model(solver, sampling)
        model = model.clone()
        if solver.timesteps is not None:
            model.add_object_patch("model_sampling", continuous(sampling))
        return model, get_sigmas(table, is_flow(solver)), KSAMPLER(sampler_of(solver))


def check_model(solver, sampling):
    """Raises SolverError unless the solver is for the model whose model_sampling this is."""
    prediction = prediction_of(sampling)
    gas_table.check_prediction(solver, prediction, "ComfyUI")
    if prediction == "flow":
        if not is_flow(solver):
            raise gas_table.SolverError(
                f"{solver.name}: for a schedule {solver.schedule['kind']!r}, the model is a flow"
            )
        if getattr(sampling, "noise_scale", 1.0) != 1.0:
            raise gas_table.SolverError(f"a model with noise_scale = {sampling.noise_scale}, must be 1")
    else:
        gas_table.check_discrete_schedule(solver, alphas_cumprod_of(sampling), "ComfyUI")


def prediction_of(sampling):
    """What the network of this model_sampling predicts, or ComfyUI's name for it where a solver file has none."""
    names = [base.__name__ for base in type(sampling).__mro__]
    return next((PREDICTIONS.get(name, name) for name in names if name in PREDICTIONS or name == "EDM"), names[0])


def alphas_cumprod_of(sampling):
    return (1 / (1 + sampling.sigmas.double() ** 2)).tolist()


def continuous(sampling):
    """The same model_sampling, whose network is told times between whole steps too."""

    class Continuous(type(sampling)):
        def timestep(self, sigma):
            log_sigmas = self.log_sigmas.double()
            log_sigma = sigma.to(log_sigmas).log()
            left = (torch.searchsorted(log_sigmas, log_sigma.contiguous()) - 1).clamp(0, len(log_sigmas) - 2)
            part = (log_sigma - log_sigmas[left]) / (log_sigmas[left + 1] - log_sigmas[left])
            return (left + part).clamp(0, len(log_sigmas) - 1).float().to(sigma.device)

    patched = Continuous.__new__(Continuous)
    patched.__dict__.update(sampling.__dict__)
    return patched


def sampler_of(solver):
    """The solver as a function that KSAMPLER calls."""

    def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
        sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
        check_model(solver, sampling)
        if solver.timesteps is not None:
            tell_rounding(solver, sampling, *table_of(solver, sigmas))
        return sample_gas(
            model,
            x,
            sigmas,
            extra_args,
            callback,
            disable,
            solver=solver,
            noise_scale=noise_scale(sampling, sigmas[0]),
            sigma_of_time=sampling.sigma,
        )

    return sample


def noise_scale(sampling, sigma):
    """What ComfyUI's samplers multiply the noise with, which is not sigma where they begin at the most noise."""
    most = float(sampling.sigma_max)
    max_denoise = math.isclose(most, float(sigma), rel_tol=1e-5) or float(sigma) > most
    sigma = sigma.detach().clone().reshape(1)
    return float(sampling.noise_scaling(sigma, torch.ones_like(sigma), torch.zeros_like(sigma), max_denoise))


def tell_rounding(solver, sampling, table, begin):
    """A warning if the network's times are rounded."""
    wanted = torch.tensor([t * solver.timesteps - 1 for t in table.t_eval[begin:]]).clamp(0, solver.timesteps - 1)
    told = sampling.timestep(sampling.sigma(wanted)).float()
    worst = float((told - wanted).abs().max())
    if worst > TIME_TOLERANCE:
        logging.warning(
            "%s: times are rounded by up to %.2f steps; connect the MODEL of the node to avoid it", solver.name, worst
        )


NODE_CLASS_MAPPINGS = {"GasSolver": GasSolver}
NODE_DISPLAY_NAME_MAPPINGS = {"GasSolver": "Gas solver"}
