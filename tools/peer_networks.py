"""The networks of tools/bench_peers.py in PyTorch, with the weights of files that gas_network_report --make writes.

Each takes float32 states and the numbers alpha, sigma and t of their noise level, as the denoisers of `gas` do, and
returns float32; its convolutions and products are in `dtype`.
"""

import math
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn


class EdmNetwork(nn.Module):
    """EDM's class for CIFAR-10 (NVlabs/edm, training/networks.py), which is imported from a checkout of it."""

    def __init__(self, path, dtype, edm_folder):
        super().__init__()
        sys.path.insert(0, str(edm_folder))
        from training.networks import SongUNet

        self.dtype, self.sigma_data = dtype, 0.5
        self.model = SongUNet(32, 3, 3, augment_dim=9, channel_mult=[2, 2, 2], attn_resolutions=[16])
        with safe_open(path, "pt") as file:
            prefix = "model."
            weights = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys()}
        self.model.load_state_dict(weights)
        self.model.to(dtype)

    @staticmethod
    def inputs(tensors):
        """Karras et al. write the state as x = alpha * z: the network takes z and the level sigma / alpha."""
        batch = tensors["state"].shape[0]
        alpha, sigma = (tensors[key].float() for key in ("alpha", "sigma"))
        return tensors["state"] / alpha, (sigma / alpha).expand(batch).contiguous()

    @staticmethod
    def state_gradient(gradient, tensors):
        return gradient / tensors["alpha"].float()

    def forward(self, z, sigma):
        s = sigma.reshape(-1, 1, 1, 1)
        total = s.square() + self.sigma_data**2
        inner = (z / total.sqrt()).to(self.dtype)
        outer = self.model(inner, sigma.log() / 4, None).float()
        return z * self.sigma_data**2 / total + outer * s * self.sigma_data / total.sqrt()


class Residual(nn.Module):
    def __init__(self, channels_in, channels, embedding):
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Identity(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.skip_connection = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x, embedding, context):
        h = self.in_layers(x) + self.emb_layers(embedding)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Attention(nn.Module):
    def __init__(self, channels, context, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x, context):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for t in (self.to_q(x), self.to_k(context), self.to_v(context)))
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.proj = nn.Linear(channels, 2 * inner)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, channels, context, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1 = Attention(channels, channels, heads)
        self.attn2 = Attention(channels, context, heads)
        self.ff = nn.Module()
        self.ff.net = nn.Sequential(
            GatedLinear(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x, context):
        own = self.norm1(x)
        x = x + self.attn1(own, own)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, channels, context, heads):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context, heads)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x, embedding, context):
        h = self.proj_in(self.norm(x)).permute(0, 2, 3, 1)
        tokens = self.transformer_blocks[0](h.flatten(1, 2), context)
        return x + self.proj_out(tokens.unflatten(1, h.shape[1:3]).permute(0, 3, 1, 2))


class LdmBlock(nn.Module):
    """One level of the U-Net of latent diffusion (Rombach et al. 2022): 320 channels with transformers."""

    CHANNELS, HEADS, CONTEXT = 320, 8, 512

    def __init__(self, path, dtype, edm_folder=None):
        super().__init__()
        c, embedding = self.CHANNELS, 4 * self.CHANNELS

        def attention():
            return Transformer(c, self.CONTEXT, self.HEADS)

        self.dtype = dtype
        self.time_embed = nn.Sequential(nn.Linear(c, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(4, c, 3, padding=1)]), nn.ModuleList([Residual(c, c, embedding), attention()])]
        )
        self.middle_block = nn.ModuleList([Residual(c, c, embedding), attention(), Residual(c, c, embedding)])
        self.output_blocks = nn.ModuleList(
            [nn.ModuleList([Residual(2 * c, c, embedding), attention()]) for _ in range(2)]
        )
        self.out = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), nn.Conv2d(c, 4, 3, padding=1))
        prefix, classes = "model.diffusion_model.", "cond_stage_model.embedding.weight"
        with safe_open(path, "pt") as file:
            self.load_state_dict(
                {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}
            )
            self.classes = file.get_tensor(classes)
        self.to(dtype)

    def inputs(self, tensors):
        """The network counts its thousand steps from 0, of which t = 1 is the last."""
        batch, times = tensors["state"].shape[0], 1000
        step = ((tensors["t"] - 1 / times) * times).float().expand(batch).contiguous()
        labels = tensors["labels"]
        context = self.classes[torch.where(labels < 0, len(self.classes) - 1, labels)].unsqueeze(1)
        return tensors["state"], step, context

    @staticmethod
    def state_gradient(gradient, tensors):
        return gradient

    def forward(self, x, step, context):
        half = self.CHANNELS // 2
        angles = step[:, None] * torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float32))
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1).to(self.dtype))
        context = context.to(self.dtype)
        h, skips = x.to(self.dtype), []
        h = self.input_blocks[0][0](h)
        skips.append(h)
        for layer in self.input_blocks[1]:
            h = layer(h, embedding, context)
        skips.append(h)
        for layer in self.middle_block:
            h = layer(h, embedding, context)
        for block in self.output_blocks:
            h = torch.cat([h, skips.pop()], dim=1)
            for layer in block:
                h = layer(h, embedding, context)
        return self.out(h).float()


NETWORKS = {"edm-cifar10": EdmNetwork, "ldm-block": LdmBlock}


def open_network(name, path, dtype, edm_folder):
    network = NETWORKS[name](path, dtype, edm_folder).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)
