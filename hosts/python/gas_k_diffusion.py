"""A solver file of `gas` as a sampler of k-diffusion, and of programs that took over its interface.

    solver = gas_table.read_solver("solver.gas.json")
    table = solver.table(6)
    sigmas = get_sigmas(table).to(x)
    images = sample_gas(model, noise * sigmas[0], sigmas, extra_args, solver=solver)

`model(x, sigma, **extra_args)` is a denoiser of k-diffusion: x = x0 + sigma eps, and x0 is the result. For rectified
flows, which k-diffusion does not have but ComfyUI does, x = (1 - sigma) x0 + sigma eps.
"""

import math
import warnings

import torch
from tqdm.auto import trange

if __package__:
    from . import gas_table
else:
    import gas_table

SIGMA_TOLERANCE = 1e-4  # relative, between the sigmas given and the table's: both are float32 in hosts
TIME_TOLERANCE = 0.01  # steps of training by which a host may miss the network's time without a warning


def is_flow(solver):
    return solver.schedule["kind"] == "flow"


def host_sigma(level, flow=False):
    """The noise level as the host counts it."""
    return level.sigma if flow else level.sigma / level.alpha


def get_sigmas(table, flow=False):
    """[nfe+1] float32 the host's noise levels of the table's states, and 0 at the end: the last state is the sample."""
    levels = [gas_table.Level(*of_state) for of_state in zip(table.t, table.alpha, table.sigma)]
    return torch.tensor([host_sigma(level, flow) for level in levels] + [0.0], dtype=torch.float32)


def table_of(solver, sigmas):
    """The table that these sigmas are, and the evaluation at which they begin."""
    given = [float(sigma) for sigma in sigmas]
    flow = is_flow(solver)
    for table in solver.tables.values():
        own = get_sigmas(table, flow).tolist()
        begin = len(own) - len(given)
        if begin >= 0 and len(given) > 1 and _close(own[begin:], given):
            return table, begin
    raise gas_table.SolverError(
        f"{solver.name}: sigmas {', '.join(f'{sigma:.4g}' for sigma in given)} are those of none of its tables"
    )


@torch.no_grad()
def sample_gas(
    model, x, sigmas, extra_args=None, callback=None, disable=None, *, solver, noise_scale=None, sigma_of_time=None
):
    """x0 [B,...] from x [B,...], the noise times sigmas[0].

    sigmas are those of get_sigmas, or the last of them, to begin later with a noisy image (gas_table.Run).
    noise_scale: what the host has multiplied the noise with, where that is not sigmas[0].
    sigma_of_time: the host's noise level at a network's time, by which it finds that time again. Without it, where the
    model has t_to_sigma, that is taken: then the network is told the very times of the table.
    """
    extra_args = {} if extra_args is None else extra_args
    table, begin = table_of(solver, sigmas)
    flow = is_flow(solver)
    levels = _host_levels(solver, table, model, sigma_of_time)
    run = gas_table.Run(table, solver.prediction, begin)
    if begin == 0:
        state = run.first_state(x * (table.prior_std / float(sigmas[0] if noise_scale is None else noise_scale)))
    else:
        state = x if flow else x * table.alpha[begin]
    ones = x.new_ones([x.shape[0]])
    for i in trange(len(sigmas) - 1, disable=disable):
        level = levels[begin + i]
        sigma = host_sigma(level, flow)
        seen = state if flow else state * (1 / level.alpha)
        denoised = model(seen, sigma * ones, **extra_args)
        if callback is not None:
            callback({"x": seen, "i": i, "sigma": sigmas[i], "sigma_hat": ones[0] * sigma, "denoised": denoised})
        state = run.advance(state, network_output(solver.prediction, level, state, denoised))
    return state


def network_output(prediction, level, x, denoised):
    """What the network gave, from what the host made of it at `level`: x is the state alpha x0 + sigma eps."""
    a, s = level.alpha, level.sigma
    if prediction == "data":
        return denoised
    if prediction == "noise":
        return (x - a * denoised) * (1 / s)
    if prediction == "velocity":
        return (a * x - (a * a + s * s) * denoised) * (1 / s)
    return (x - (a + s) * denoised) * (1 / s)


def _close(own, given):
    return all(abs(a - b) <= SIGMA_TOLERANCE * abs(a) for a, b in zip(own, given))


def _host_levels(solver, table, model, sigma_of_time):
    """The level of each evaluation as the host has to be told it, so that it tells the network the table's time."""
    levels = [table.level(n) for n in range(table.nfe)]
    sigma_of_time = sigma_of_time or getattr(model, "t_to_sigma", None)
    if solver.timesteps is None or sigma_of_time is None:
        return levels
    return [_level_at(solver.timesteps, level, sigma_of_time) for level in levels]


def _level_at(steps, level, sigma_of_time):
    time = level.t * steps - 1
    nearest = min(max(time, 0.0), steps - 1.0)
    if abs(time - nearest) > TIME_TOLERANCE:
        warnings.warn(f"the solver evaluates the network at time {time:.2f}, the host goes from 0 to {steps - 1}")
    sigma = float(sigma_of_time(torch.tensor(nearest, dtype=torch.float32)))
    alpha = 1 / math.sqrt(1 + sigma * sigma)
    return gas_table.Level(level.t, alpha, alpha * sigma)
