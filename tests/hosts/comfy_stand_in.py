"""A stand-in for the parts of ComfyUI that gas_comfyui.py meets, written from their behaviour; not ComfyUI's code.

Samplers are functions (model, x, sigmas, ...) inside KSAMPLER; model_sampling scales noise and inputs and turns outputs
into x0; networks with discrete steps are told the nearest one.
"""

import copy
import math
import types

import torch


interrupted = False


class Interrupted(Exception):
    """What a cancelled prompt ends with."""


def interrupt_current_processing(value=True):
    global interrupted
    interrupted = value


def throw_exception_if_processing_interrupted():
    if interrupted:
        interrupt_current_processing(False)
        raise Interrupted


class EPS:
    def calculate_input(self, sigma, x):
        return x / (1 + sigma**2) ** 0.5

    def calculate_denoised(self, sigma, output, x):
        return x - sigma * output

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False):
        return noise * (torch.sqrt(1 + sigma**2) if max_denoise else sigma) + latent_image

    def inverse_noise_scaling(self, sigma, latent):
        return latent


class V_PREDICTION(EPS):
    def calculate_denoised(self, sigma, output, x):
        return x / (1 + sigma**2) - output * sigma / (1 + sigma**2) ** 0.5


class CONST(EPS):
    def calculate_input(self, sigma, x):
        return x

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False):
        return sigma * noise + (1 - sigma) * latent_image

    def inverse_noise_scaling(self, sigma, latent):
        return latent / (1 - sigma)


class Discrete(torch.nn.Module):
    def __init__(self, alphas_cumprod):
        super().__init__()
        alphas = torch.tensor(alphas_cumprod, dtype=torch.float64)
        self.register_buffer("sigmas", ((1 - alphas) / alphas).sqrt().float())
        self.register_buffer("log_sigmas", self.sigmas.log())

    @property
    def sigma_max(self):
        return self.sigmas[-1]

    def timestep(self, sigma):
        return (sigma.log() - self.log_sigmas[:, None]).abs().argmin(dim=0).view(sigma.shape)

    def sigma(self, timestep):
        low, high = timestep.floor().long(), timestep.ceil().long()
        return torch.lerp(self.log_sigmas[low], self.log_sigmas[high], timestep.frac()).exp()


class Flow(torch.nn.Module):
    sigma_max = torch.tensor(1.0)

    def timestep(self, sigma):
        return sigma

    def sigma(self, timestep):
        return timestep


def model_sampling(prediction, alphas_cumprod):
    """As ComfyUI makes them: a class of a prediction and a schedule."""
    scaling = {"noise": EPS, "velocity": V_PREDICTION, "flow": CONST}[prediction]
    if scaling is CONST:
        return type("ModelSampling", (Flow, CONST), {})()
    return type("ModelSampling", (Discrete, scaling), {})(alphas_cumprod)


class Patcher:
    """A MODEL: a network with objects that nodes may replace."""

    def __init__(self, sampling, network):
        self.network, self.objects = network, {"model_sampling": sampling}

    def clone(self):
        other = copy.copy(self)
        other.objects = dict(self.objects)
        return other

    def add_object_patch(self, name, value):
        self.objects[name] = value

    def get_model_object(self, name):
        return self.objects[name]


def model(prediction, alphas_cumprod, network):
    """A MODEL."""
    return Patcher(model_sampling(prediction, alphas_cumprod), network)


class KSAMPLER:
    def __init__(self, sampler_function, extra_options={}, inpaint_options={}):
        self.sampler_function, self.extra_options = sampler_function, extra_options


def sample_custom(patcher, sampler, sigmas, noise, latent_image):
    """What SamplerCustom makes of MODEL, SAMPLER and SIGMAS."""
    sampling = patcher.get_model_object("model_sampling")

    def denoise(x, sigma, denoise_mask=None, **options):
        wide = sigma.reshape(-1, 1, 1, 1)
        output = patcher.network(sampling.calculate_input(wide, x), sampling.timestep(sigma).float())
        return sampling.calculate_denoised(wide, output, x)

    class Guided:
        inner_model = types.SimpleNamespace(
            model_patcher=patcher,
            inner_model=types.SimpleNamespace(diffusion_model=torch.nn.Module()),
            conds={},
            cfg=1.0,
        )
        __call__ = staticmethod(denoise)

    most = float(sampling.sigma_max)
    max_denoise = math.isclose(most, float(sigmas[0]), rel_tol=1e-05) or float(sigmas[0]) > most
    x = sampling.noise_scaling(sigmas[0], noise, latent_image, max_denoise)
    arguments = {"extra_args": {"denoise_mask": None}, "callback": None, "disable": True}
    x = sampler.sampler_function(Guided(), x, sigmas, **arguments, **sampler.extra_options)
    return sampling.inverse_noise_scaling(sigmas[-1], x)
