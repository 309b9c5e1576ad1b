"""Pipelines of diffusers with tiny random weights: folders of the fixtures, completed, and from configurations."""

import gzip
import json
import shutil

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)


def write_tokenizer(folder, fixtures):
    """vocab.json and merges.txt of CLIP, which fixtures leave out, from OpenAI's list of merges; where that is missing, a
    few words."""
    vocabulary = fixtures / "bpe_simple_vocab_16e6.txt.gz"
    if not vocabulary.exists():
        for name in ("vocab.json", "merges.txt"):
            shutil.copyfile(fixtures / "clip_tokenizer_small" / name, folder / name)
        return
    lines = gzip.decompress(vocabulary.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = [chr(code) for code in shown] + [chr(256 + i) for i in range(256 - len(shown))]
    words = letters + [letter + "</w>" for letter in letters] + ["".join(line.split()) for line in lines]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n")


def completed(fixtures, name, folder):
    """A fixture's folder with the vocabulary, and for DiT an autoencoder, that it leaves out."""
    out = folder / name
    shutil.copytree(fixtures / name, out)
    out.chmod(0o755)
    for tokenizer in out.glob("tokenizer*"):
        tokenizer.chmod(0o755)
        write_tokenizer(tokenizer, fixtures)
    index = json.loads((out / "model_index.json").read_text())
    if index["_class_name"] == "DiTPipeline":
        autoencoder(4).save_pretrained(out / "vae")
        index["vae"] = ["diffusers", "AutoencoderKL"]
        (out / "model_index.json").chmod(0o644)
        (out / "model_index.json").write_text(json.dumps(index))
    return out


def autoencoder(channels):
    torch.manual_seed(7)
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=16,
        shift_factor=0.0,
    )


def clip(kind, width):
    torch.manual_seed(width)
    return kind(
        CLIPTextConfig(
            hidden_size=width,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            vocab_size=49408,
            projection_dim=width,
            bos_token_id=0,
            eos_token_id=2,
        )
    )


def t5(width):
    torch.manual_seed(width)
    return T5EncoderModel(T5Config(d_model=width, d_kv=4, d_ff=16, num_layers=1, num_heads=2, vocab_size=49410))


def tokenizer(fixtures, folder):
    folder.mkdir(exist_ok=True)
    write_tokenizer(folder, fixtures)
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def randomised(network, seed):
    """Every parameter random, those too that are initialised with zeros."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.15)
    return network


def sd3(words):
    network = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=20,
        caption_projection_dim=16,
        pooled_projection_dim=16,
        pos_embed_max_size=16,
    )
    return StableDiffusion3Pipeline(
        transformer=randomised(network, 1),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(4),
        text_encoder=clip(CLIPTextModelWithProjection, 8),
        tokenizer=words,
        text_encoder_2=clip(CLIPTextModelWithProjection, 8),
        tokenizer_2=words,
        text_encoder_3=t5(20),
        tokenizer_3=words,
    )


def flux(words):
    network = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=20,
        pooled_projection_dim=8,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=autoencoder(4),
        text_encoder=clip(CLIPTextModel, 8),
        tokenizer=words,
        text_encoder_2=t5(20),
        tokenizer_2=words,
        transformer=randomised(network, 2),
    )


def pixart(words):
    network = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        cross_attention_dim=16,
        sample_size=8,
        patch_size=2,
        caption_channels=20,
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
    )
    schedule = DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02)
    return PixArtAlphaPipeline(
        tokenizer=words,
        text_encoder=t5(20),
        vae=autoencoder(4),
        transformer=randomised(network, 3),
        scheduler=schedule,
    )


def sd1_for_sd_cpp(words, folder, fixtures):
    """Writes a folder of Stable Diffusion 1 as the published ones are named, whatever the version of transformers."""
    torch.manual_seed(1)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64, 128, 128),
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=128,
    )
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, vocab_size=49408, bos_token_id=0, eos_token_id=2)
    text.num_hidden_layers = text.num_attention_heads = 12
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=words,
        unet=unet,
        scheduler=PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16).save_pretrained(folder)
    file = folder / "text_encoder/model.safetensors"
    tensors = load_file(file)
    first = "text_model."
    save_file({first + name.removeprefix(first): tensor for name, tensor in tensors.items()}, file)
    write_tokenizer(folder / "tokenizer", fixtures)
