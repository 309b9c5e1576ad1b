#!/usr/bin/env python3
"""Another draw of the EDM networks among the fixtures, of other sizes, so that tests are seen to take sizes from them.

    git clone https://github.com/NVlabs/edm
    build/wheel/bin/python tools/edm_draw.py edm tests/fixtures OUT
    GAS_FIXTURES=OUT ctest --preset release -R '^(models|nn|device|io)/fast'

Needs PyTorch, numpy and safetensors. OUT has the folder edm_networks anew, as its README describes it, and links to all
other fixtures. The reference's own code computes outputs and gradients: in float32, and in float64 with its explicit
casts lifted, but for the frequencies of the positional embedding.
"""

import argparse
import importlib
import json
import pickle
import sys
import tempfile
from pathlib import Path

import numpy
import torch

FREQUENCIES = "freqs = torch.arange(start=0, end=self.num_channels//2, dtype=torch.float32, device=x.device)"
BATCH = 3
CLASSES = 7
DTYPES = {torch.float32: "F32", torch.float64: "F64"}

SONG = {
    "img_resolution": 24,
    "img_channels": 2,
    "label_dim": 0,
    "model_type": "SongUNet",
    "augment_dim": 5,
    "model_channels": 12,
    "channel_mult": [1, 2, 2],
    "num_blocks": 1,
    "attn_resolutions": [12],
}
NCSN = {
    **SONG,
    "embedding_type": "fourier",
    "encoder_type": "residual",
    "channel_mult_noise": 2,
    "resample_filter": [1, 3, 3, 1],
}
ADM = {
    "img_resolution": 12,
    "img_channels": 4,
    "label_dim": CLASSES,
    "model_type": "DhariwalUNet",
    "model_channels": 16,
    "channel_mult": [1, 2],
    "channel_mult_emb": 3,
    "num_blocks": 2,
    "attn_resolutions": [6],
}
NETWORKS = {
    "edm_ddpmpp": ("EDMPrecond", SONG),
    "vp_ddpmpp": ("VPPrecond", {**SONG, "label_dim": CLASSES, "augment_dim": 0, "channel_mult": [1, 3]}),
    "edm_ncsnpp": ("EDMPrecond", NCSN),
    "ve_ncsnpp": ("VEPrecond", NCSN),
    "edm_adm_small": ("EDMPrecond", ADM),
    "edm_adm_cond": ("EDMPrecond", {**ADM, "channel_mult": [1, 4], "channel_mult_emb": 1}),
    "iddpm_adm": ("iDDPMPrecond", ADM),
}


def in_float64(source):
    """The reference's source with its casts to float32 lifted."""
    return FREQUENCIES.join(part.replace("torch.float32", "torch.float64") for part in source.split(FREQUENCIES))


def module_of(source, folder, name):
    """A module of the reference from its source, in a file, for its classes pickle the source with them."""
    (folder / f"{name}.py").write_text(source)
    return importlib.import_module(name)


def randomised(network, generator):
    """Noise on every parameter: those that begin at zero have an influence too."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


def evaluated(network, inputs, labels, dtype, suffix, prefix):
    """Outputs and gradients of one case, as tensors of the fixture."""
    x = inputs["x"].to(dtype).clone().requires_grad_()
    sigma = inputs["sigma"].to(dtype).clone().requires_grad_()
    seen = []

    def watch(module, given, output):
        image = output[:, : network.img_channels]  # the others are learned variances
        seen[:] = [given[0].detach(), given[1].detach(), image.detach()]

    hook = network.model.register_forward_hook(watch)
    d = network(x, sigma, None if labels is None else labels.to(dtype))
    (d * inputs["w"].to(dtype)).sum().backward()
    hook.remove()
    found = {"D": d.detach(), "grad_x": x.grad, "grad_sigma": sigma.grad}
    found.update({"net_in": seen[0], "c_noise": seen[1], "F_x": seen[2]})
    return {prefix + name + suffix: tensor.to(dtype).contiguous() for name, tensor in found.items()}


def draw(name, modules, out):
    """One network: NAME.json, NAME.safetensors and NAME.pkl."""
    from safetensors.torch import save_file

    class_name, arguments = NETWORKS[name]
    generator = torch.Generator().manual_seed(sum(name.encode()))
    network = randomised(getattr(modules[torch.float32], class_name)(**arguments), generator)
    double = getattr(modules[torch.float64], class_name)(**arguments).double().eval().requires_grad_(False)
    double.load_state_dict(network.state_dict())

    side, channels = arguments["img_resolution"], arguments["img_channels"]
    low, high = max(0.01, float(network.sigma_min)), min(50.0, float(network.sigma_max))
    inputs = {
        "x": torch.randn(BATCH, channels, side, side, generator=generator),
        "w": torch.randn(BATCH, channels, side, side, generator=generator),
        "sigma": torch.tensor(numpy.geomspace(1.5 * low, 0.8 * high, BATCH), dtype=torch.float32),
    }
    cases = [{"prefix": "", "class_labels": None}]
    if arguments["label_dim"]:
        inputs["labels"] = torch.eye(CLASSES)[torch.arange(BATCH) % CLASSES]
        cases = [{"prefix": "", "class_labels": "tensor labels"}, {"prefix": "nolabel/", "class_labels": None}]
    if hasattr(network, "u"):  # levels at which the network knows its number
        inputs["sigma"] = network.u[torch.tensor([100, 500, 900])].clone()

    tensors = {"weights/" + key: value.contiguous() for key, value in network.state_dict().items() if key != "u"}
    tensors.update(inputs)
    if hasattr(network, "u"):
        tensors["u"] = network.u
    for case in cases:
        labels = inputs["labels"] if case["class_labels"] else None
        for dtype, suffix, model in ((torch.float32, "", network), (torch.float64, "_f64", double)):
            tensors.update(evaluated(model, inputs, labels, dtype, suffix, case["prefix"]))
    with torch.no_grad():
        tensors["D_scalar_sigma"] = network(inputs["x"], torch.tensor(0.9)).contiguous()
    save_file({key: value.clone() for key, value in tensors.items()}, out / f"{name}.safetensors")
    facts = {
        "class_name": class_name,
        "init_kwargs": arguments,
        "num_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "attributes": {"sigma_min": float(network.sigma_min), "sigma_max": str(float(network.sigma_max))},
        "cases": cases,
        "tensors": {key: [DTYPES[value.dtype], *value.shape] for key, value in sorted(tensors.items())},
    }
    if class_name == "iDDPMPrecond":
        facts["attributes"]["sigma_max"] = float(network.sigma_max)
    (out / f"{name}.json").write_text(json.dumps(facts, indent=1))
    with open(out / f"{name}.pkl", "wb") as file:
        pickle.dump({"ema": network}, file)
    return network


def write_checkpoint(network, path):
    """The keys that the reference's training loop writes."""
    loss = importlib.import_module("training.loss").EDMLoss()
    augment = importlib.import_module("training.augment").AugmentPipe(p=0.1, xflip=1)
    data = {"class_name": "training.dataset.ImageFolderDataset", "path": "data.zip", "use_labels": False}
    with open(path, "wb") as file:
        pickle.dump({"ema": network, "loss_fn": loss, "augment_pipe": augment, "dataset_kwargs": data}, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("edm", type=Path, help="a checkout of NVlabs/edm")
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    folder = args.out / "edm_networks"
    folder.mkdir(parents=True)
    for entry in args.fixtures.resolve().iterdir():
        if entry.name != folder.name:
            (args.out / entry.name).symlink_to(entry)
    source = (args.edm / "training/networks.py").read_text()
    with tempfile.TemporaryDirectory() as sources:
        sys.path[:0] = [str(args.edm), sources]
        modules = {
            torch.float32: module_of(source, Path(sources), "edm_float32"),
            torch.float64: module_of(in_float64(source), Path(sources), "edm_float64"),
        }
        networks = {name: draw(name, modules, folder) for name in NETWORKS}
        write_checkpoint(networks["edm_ddpmpp"], folder / "edm_ddpmpp_training_loop.pkl")
    for kept in (args.fixtures / folder.name).glob("unet_blocks.*"):
        (folder / kept.name).write_bytes(kept.read_bytes())


if __name__ == "__main__":
    main()
