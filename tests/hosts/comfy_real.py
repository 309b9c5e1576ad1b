"""ComfyUI itself, behind the functions of comfy_stand_in.py: $GAS_COMFYUI names a checkout of it, whose packages must be
there. Its samplers, model classes and noise schedules; the network alone is ours.
"""

import os
import sys

import torch

sys.path.insert(0, os.environ["GAS_COMFYUI"])

from comfy.cli_args import args

args.cpu = True  # before the other modules look for a device

import comfy.model_base
import comfy.model_patcher
import comfy.sample
import comfy.supported_models_base

TYPES = {"noise": "EPS", "velocity": "V_PREDICTION", "flow": "FLOW"}


class Network(torch.nn.Module):
    """A function of x and the times that ComfyUI tells."""

    dtype = torch.float32

    def __init__(self, evaluate, **others):
        super().__init__()
        self.evaluate = evaluate

    def forward(self, x, timesteps, **others):
        return self.evaluate(x, timesteps)


class Config(comfy.supported_models_base.BASE):
    sampling_settings = {"shift": 1.0, "multiplier": 1.0}  # of flows: times are levels


def model(prediction, alphas_cumprod, network):
    """A MODEL."""
    config = Config({"evaluate": network})
    kind = getattr(comfy.model_base.ModelType, TYPES[prediction])
    base = comfy.model_base.BaseModel(config, kind, torch.device("cpu"), unet_model=Network)
    if prediction != "flow":
        alphas = torch.tensor(alphas_cumprod, dtype=torch.float64)
        base.model_sampling.set_sigmas(((1 - alphas) / alphas).sqrt())
    return comfy.model_patcher.ModelPatcher(base, torch.device("cpu"), torch.device("cpu"))


def sample_custom(patcher, sampler, sigmas, noise, latent_image):
    """What SamplerCustom makes of MODEL, SAMPLER and SIGMAS, without guidance."""
    nothing = [[torch.zeros(1, 1, 8), {}]]
    return comfy.sample.sample_custom(
        patcher, noise, 1.0, sampler, sigmas, nothing, nothing, latent_image, disable_pbar=True, seed=0
    )
