"""Serves the denoiser of a diffusers pipeline to `gas`, so that a solver can be fitted to it and measured:

    gas teacher --model "exec:python worker_diffusers.py FOLDER" --prompts prompts.txt --guidance 7.5 ...

Prompts and negative prompts are gas's (`--prompt`, `--prompts`, `--negative`). If the worker is given prompts, each of
them is a class instead: `--class 2` is the third, and the worker's negative prompt is class -1. Guidance is gas's own
(`--guidance`); FLUX is told the scale. States are latents, which the worker decodes; the gradient is autograd's, so
that `gas train` works. Pipelines: Stable Diffusion, Stable Diffusion XL, Stable Diffusion 3, FLUX, PixArt, DiT; a row
of ADAPTERS makes another one.
"""

import argparse
import sys
from typing import Callable, NamedTuple

import torch
from gas_diffusers import FLOW_STEPS, PREDICTION_TYPES
from gas_pipe import serve
from gas_torch import TorchDecoder, hash_of


class Adapter(NamedTuple):
    """What differs between pipelines."""

    network: str  # the pipeline's attribute that is the denoiser
    # (pipe, prompt, options) -> the conditions of the prompt, and those of the negative prompt: tensors [1,...] by name
    encode: Callable
    # (pipe, x [B,C,H,W], network times [B], conditions [B,...] by name, options) -> output [B,C,H,W]; options.scale is
    # the guidance that a network is told
    predict: Callable


# ---- Stable Diffusion 1 and 2 ----


def encode_sd(pipe, prompt, options):
    positive, negative = pipe.encode_prompt(prompt, pipe.device, 1, True, negative_prompt=options.negative)
    return {"text": positive}, {"text": negative}


def predict_sd(pipe, x, times, conditions, options):
    return pipe.unet(x, times, encoder_hidden_states=conditions["text"], return_dict=False)[0]


# ---- Stable Diffusion XL ----


def encode_sdxl(pipe, prompt, options):
    text, negative_text, pooled, negative_pooled = pipe.encode_prompt(
        prompt, device=pipe.device, do_classifier_free_guidance=True, negative_prompt=options.negative
    )
    size = (options.height, options.width)
    width = pipe.text_encoder_2.config.projection_dim if pipe.text_encoder_2 else pooled.shape[-1]
    ids = pipe._get_add_time_ids(size, (0, 0), size, dtype=text.dtype, text_encoder_projection_dim=width)
    ids = ids.to(text.device)
    return (
        {"text": text, "pooled": pooled, "ids": ids},
        {"text": negative_text, "pooled": negative_pooled, "ids": ids},
    )


def predict_sdxl(pipe, x, times, conditions, options):
    added = {"text_embeds": conditions["pooled"], "time_ids": conditions["ids"]}
    return pipe.unet(x, times, encoder_hidden_states=conditions["text"], added_cond_kwargs=added, return_dict=False)[0]


# ---- Stable Diffusion 3 ----


def encode_sd3(pipe, prompt, options):
    text, negative_text, pooled, negative_pooled = pipe.encode_prompt(
        prompt, None, None, device=pipe.device, negative_prompt=options.negative
    )
    return {"text": text, "pooled": pooled}, {"text": negative_text, "pooled": negative_pooled}


def predict_sd3(pipe, x, times, conditions, options):
    return pipe.transformer(
        hidden_states=x,
        timestep=times,
        encoder_hidden_states=conditions["text"],
        pooled_projections=conditions["pooled"],
        return_dict=False,
    )[0]


# ---- FLUX ----


def encode_flux(pipe, prompt, options):
    def encoded(text):
        embedded, pooled, _ = pipe.encode_prompt(text, None, device=pipe.device)
        return {"text": embedded, "pooled": pooled}

    return encoded(prompt), encoded(options.negative or "")


def predict_flux(pipe, x, times, conditions, options):
    batch, channels, height, width = x.shape
    text = conditions["text"]
    guidance = None
    if pipe.transformer.config.guidance_embeds:
        guidance = torch.full((batch,), options.scale, device=x.device)
    output = pipe.transformer(
        hidden_states=pipe._pack_latents(x, batch, channels, height, width),
        timestep=times / FLOW_STEPS,
        guidance=guidance,
        encoder_hidden_states=text,
        pooled_projections=conditions["pooled"],
        txt_ids=torch.zeros(text.shape[1], 3, device=x.device, dtype=x.dtype),
        img_ids=pipe._prepare_latent_image_ids(batch, height // 2, width // 2, x.device, x.dtype),
        return_dict=False,
    )[0]
    return pipe._unpack_latents(
        output, height * pipe.vae_scale_factor, width * pipe.vae_scale_factor, pipe.vae_scale_factor
    )


# ---- PixArt ----


def encode_pixart(pipe, prompt, options):
    text, mask, negative_text, negative_mask = pipe.encode_prompt(
        prompt, True, negative_prompt=options.negative or "", device=pipe.device
    )
    return {"text": text, "mask": mask}, {"text": negative_text, "mask": negative_mask}


def predict_pixart(pipe, x, times, conditions, options):
    added = {"resolution": None, "aspect_ratio": None}
    if pipe.transformer.config.sample_size == 128:
        size = torch.tensor([options.height, options.width]).repeat(len(x), 1)
        ratio = torch.tensor([options.height / options.width]).repeat(len(x), 1)
        added = {"resolution": size.to(x), "aspect_ratio": ratio.to(x)}
    return pipe.transformer(
        x,
        encoder_hidden_states=conditions["text"],
        encoder_attention_mask=conditions["mask"],
        timestep=times,
        added_cond_kwargs=added,
        return_dict=False,
    )[0]


# ---- DiT ----


def encode_dit(pipe, label, options):
    classes = torch.tensor([int(label), pipe.transformer.config.num_embeds_ada_norm], device=pipe.device)
    return {"class": classes[:1]}, {"class": classes[1:]}


def predict_dit(pipe, x, times, conditions, options):
    return pipe.transformer(x, timestep=times, class_labels=conditions["class"], return_dict=False)[0]


ADAPTERS = {
    "StableDiffusionPipeline": Adapter("unet", encode_sd, predict_sd),
    "StableDiffusionXLPipeline": Adapter("unet", encode_sdxl, predict_sdxl),
    "StableDiffusion3Pipeline": Adapter("transformer", encode_sd3, predict_sd3),
    "FluxPipeline": Adapter("transformer", encode_flux, predict_flux),
    "PixArtAlphaPipeline": Adapter("transformer", encode_pixart, predict_pixart),
    "PixArtSigmaPipeline": Adapter("transformer", encode_pixart, predict_pixart),
    "DiTPipeline": Adapter("transformer", encode_dit, predict_dit),
}


def schedule_of(scheduler):
    """The noise schedule as a solver file has it, and what the network predicts."""
    config = scheduler.config
    if "FlowMatch" in type(scheduler).__name__ or config.get("prediction_type") == "flow_prediction":
        return {"kind": "flow", "t_eps": 1e-3}, "flow"
    ours = {theirs: name for name, theirs in PREDICTION_TYPES.items()}
    return (
        {"kind": "discrete", "alphas_cumprod": scheduler.alphas_cumprod.double().tolist()},
        ours[config.get("prediction_type", "epsilon")],
    )


def add_loras(pipe, loras):
    """Each FILE or FILE=SCALE, all of them at once."""
    scales = {}
    for i, lora in enumerate(loras):
        path, _, scale = lora.partition("=")
        pipe.load_lora_weights(path, adapter_name=f"lora{i}")
        scales[f"lora{i}"] = float(scale or 1)
    if scales:
        pipe.set_adapters(list(scales), list(scales.values()))


class Worker(TorchDecoder):
    """The denoiser of one pipeline, with its prompts encoded once."""

    def __init__(self, pipe, options):
        name = type(pipe).__name__
        if name not in ADAPTERS:
            raise SystemExit(f"{name}: not among {', '.join(ADAPTERS)}")
        self.pipe, self.options, self.adapter = pipe, options, ADAPTERS[name]
        self.network = getattr(pipe, self.adapter.network)
        for part in (self.network, getattr(pipe, "vae", None)):
            if part is not None:
                part.requires_grad_(False)
        super().__init__(self.network.device, self.network.dtype)
        scale = getattr(pipe, "vae_scale_factor", None) or 8
        side = getattr(pipe, "default_sample_size", None) or self.network.config.sample_size
        side *= scale
        options.height, options.width = options.height or side, options.width or side
        self.channels = self.network.config.in_channels // (4 if name == "FluxPipeline" else 1)
        self.shape = [self.channels, options.height // scale, options.width // scale]
        self.schedule, self.prediction = schedule_of(pipe.scheduler)
        self.texts = not options.prompts and name != "DiTPipeline"
        told = getattr(self.network.config, "guidance_embeds", False)
        self.scale_is_input = bool(told and self.texts and options.embedded_guidance is None)
        if options.embedded_guidance is None and not self.scale_is_input:
            options.embedded_guidance = 3.5
        if not self.texts:
            self._encode_classes(options.prompts or range(self.network.config.num_embeds_ada_norm))

    def _encode_classes(self, prompts):
        self.prompts = [str(prompt) for prompt in prompts]
        encoded = [self._encoded(prompt, self.options.negative) for prompt in self.prompts]
        rows = [positive for positive, _ in encoded] + [encoded[0][1]]  # the last is that of label -1
        self.conditions = {key: torch.cat([row[key] for row in rows]) for key in rows[0]}

    def _encoded(self, prompt, negative):
        self.options.negative = negative
        with torch.no_grad():
            return self.adapter.encode(self.pipe, prompt, self.options)

    def hello(self):
        options = self.options
        hello = {
            "name": type(self.pipe).__name__,
            "shape": self.shape,
            "prediction": self.prediction,
            "schedule": self.schedule,
            "weights": hash_of(self.network.state_dict()),
            "computes_in": options.dtype,
            "lora": options.lora,
        }
        if getattr(self.pipe, "vae", None) is not None:
            hello["decode"] = {"shape": [3, options.height, options.width]}
        if self.texts:
            hello["texts"] = True
        else:
            hello |= {"classes": len(self.prompts), "prompts": self.prompts, "negative": options.negative}
        if self.scale_is_input:
            hello["guidance"] = "input"
        else:
            hello["embedded_guidance"] = options.embedded_guidance
        return hello

    def condition(self, request):
        if "prompt" in request:
            return self._encoded(request["prompt"], None)[0]
        return self._encoded("", request["negative"])[1]

    def output(self, x, level, ask):
        steps = self.schedule.get("alphas_cumprod")
        times = level.t * FLOW_STEPS if steps is None else level.t * len(steps) - 1
        self.options.scale = ask.guidance if ask.guidance is not None else self.options.embedded_guidance
        output = self.adapter.predict(self.pipe, x, times, self._conditions(len(x), ask), self.options)
        return output[:, : self.channels]  # the others are variances

    def _conditions(self, batch, ask):
        if self.texts:
            return {key: torch.cat([row[key] for row in ask.conditions]) for key in ask.conditions[0]}
        rows = torch.full((batch,), -1) if ask.labels is None else torch.tensor(ask.labels)
        rows = torch.where(rows < 0, len(self.prompts), rows).to(self.device)
        return {key: values[rows] for key, values in self.conditions.items()}

    def images(self, x):
        config = self.pipe.vae.config
        latents = x.to(self.pipe.vae.dtype) / config.scaling_factor
        latents = latents + (getattr(config, "shift_factor", None) or 0)
        return self.pipe.vae.decode(latents, return_dict=False)[0].clamp(-1, 1)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of the pipeline, or its name on the hub")
    parser.add_argument("--prompt", dest="prompts", action="append", default=[], help="one class; may be repeated")
    parser.add_argument("--prompts", dest="file", help="text file, a prompt for each line")
    parser.add_argument("--negative", help="negative prompt, class -1, with prompts here [as the pipeline without one]")
    parser.add_argument(
        "--lora", action="append", default=[], metavar="FILE[=SCALE]", help="LoRA in the weights; may be repeated [1]"
    )
    parser.add_argument("--height", type=int, help="of images, in pixels [the pipeline's]")
    parser.add_argument("--width", type=int)
    parser.add_argument(
        "--embedded-guidance", type=float, help="that FLUX's network is told [gas's --guidance; 3.5 with prompts here]"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    options = parser.parse_args(arguments)
    if options.file:
        with open(options.file, encoding="utf-8") as file:
            options.prompts += file.read().splitlines()
    return options


def main(arguments):
    from diffusers import DiffusionPipeline

    options = parse(arguments)
    pipe = DiffusionPipeline.from_pretrained(options.folder, torch_dtype=getattr(torch, options.dtype))
    add_loras(pipe, options.lora)
    worker = Worker(pipe.to(options.device), options)
    serve(worker.hello(), worker)


if __name__ == "__main__":
    main(sys.argv[1:])
