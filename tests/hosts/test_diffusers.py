"""GasScheduler in pipelines of diffusers against `gas sample` through worker_diffusers.py: the same latents."""

import json
import shutil
import sys

import numpy
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import gas_diffusers
import gas_table
import in_process
import pipelines
import solvers
from conftest import SOURCE, relative_error
from gas_diffusers import GasScheduler

PROMPT = "a photo of a red fox"
KINDS = {"scalar": {}, "spectral": {"bands": 4, "start": True}}


@pytest.fixture(scope="module")
def words(fixtures, tmp_path_factory):
    return pipelines.tokenizer(fixtures, tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def folder_of(fixtures, words, tmp_path_factory):
    """The folder of a pipeline, by name, each made once."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("pipelines")
            if hasattr(pipelines, name):
                made[name] = folder / name
                getattr(pipelines, name)(words).save_pretrained(made[name])
            else:
                if not (fixtures / name).exists():
                    pytest.skip(f"GAS_FIXTURES does not name a folder with {name}")
                made[name] = pipelines.completed(fixtures, name, folder)
        return made[name]

    return make


@pytest.fixture(scope="module")
def pipe_of(folder_of):
    """The pipeline of a name, opened once; a test may give it another scheduler."""
    pipes, schedulers = {}, {}

    def pipe(name):
        if name not in pipes:
            pipes[name] = opened(folder_of(name))
            schedulers[name] = pipes[name].scheduler
        pipes[name].scheduler = schedulers[name]
        return pipes[name]

    return pipe


@pytest.fixture(scope="module")
def served(folder_of, tmp_path_factory):
    """The --model of a pipeline by name, with arguments of worker_diffusers.py, which runs in this process."""
    import worker_diffusers

    pipes = {}

    def model(name, *arguments):
        if name not in pipes:
            pipes[name] = opened(folder_of(name))
        options = worker_diffusers.parse([str(folder_of(name)), *map(str, arguments)])
        network = worker_diffusers.Worker(pipes[name], options)
        return in_process.served(network.hello(), network, tmp_path_factory.mktemp("served") / "socket")

    return model


def opened(folder):
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def worker(folder, *arguments):
    """The --model of a worker that is a process of its own."""
    script = SOURCE / "hosts/python/worker_diffusers.py"
    return "exec:" + " ".join(f"'{part}'" for part in (sys.executable, script, folder, *arguments))


def solver_for(pipe, shape, path, guidance=1.0, **kind):
    from worker_diffusers import schedule_of

    schedule, prediction = schedule_of(pipe.scheduler)
    table = solvers.noisy_table(schedule, 4, seed=5, shape=shape, **kind)
    return solvers.write(path / "solver.gas.json", solvers.solver(schedule, prediction, [table], guidance))


# name, latent shape, size of the images, guidance
TEXT = [
    ("sd1_diffusers", (4, 8, 12), 3.0),
    ("sd2_diffusers", (4, 12, 8), 3.0),
    ("sdxl_diffusers", (4, 8, 12), 3.0),
    ("sd3", (4, 8, 8), 3.0),
    ("flux", (4, 8, 12), 1.0),
    ("pixart", (4, 8, 8), 3.0),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, shape, guidance", TEXT)
def test_pipeline_is_the_program(name, shape, guidance, kind, pipe_of, served, sampled, tmp_path):
    pipe = pipe_of(name)
    height, width = (side * pipe.vae_scale_factor for side in shape[1:])
    path = solver_for(pipe, shape, tmp_path, guidance, **KINDS[kind])
    size = ("--height", height, "--width", width)
    negative = () if name in ("sdxl_diffusers", "flux") else ("--negative", "blurry")
    theirs = sampled(
        served(name, "--prompt", PROMPT, *negative, *size),
        path,
        4,
        tmp_path,
        "--latents",
        "--class",
        0,
        seeds="0-1",
    )
    pipe.scheduler = GasScheduler.from_file(path, pipe.scheduler)
    noise = torch.from_numpy(theirs["noise"])
    pipe.scheduler.set_timesteps(4)
    flow = pipe.scheduler.config.prediction_type == "flow_prediction"
    latents = pipe.scheduler.start_latents(noise) if flow else noise
    if name == "flux":
        latents = pipe._pack_latents(latents, *latents.shape)
    asked = {"negative_prompt": "blurry"} if negative else {}
    if name == "pixart":
        asked["use_resolution_binning"] = False
    ours = pipe(
        PROMPT,
        num_images_per_prompt=2,
        num_inference_steps=4,
        guidance_scale=3.5 if name == "flux" else guidance,
        latents=latents,
        height=height,
        width=width,
        output_type="latent",
        **asked,
    ).images
    if name == "flux":
        ours = pipe._unpack_latents(ours, height, width, pipe.vae_scale_factor)
    assert relative_error(ours.numpy(), theirs["latents"]) < 1e-4


@pytest.mark.parametrize("name, shape, guidance", TEXT)
def test_prompts_of_the_program_are_those_of_the_worker(name, shape, guidance, pipe_of, served, sampled, tmp_path):
    """A prompt by a request and a prompt by a class are the same prompt, and so is what guides away."""
    pipe = pipe_of(name)
    height, width = (side * pipe.vae_scale_factor for side in shape[1:])
    path = solver_for(pipe, shape, tmp_path, guidance)
    size = ("--height", height, "--width", width)
    negative = () if name in ("sdxl_diffusers", "flux") else ("--negative", "blurry")
    scale = ("--embedded-guidance", guidance) if name == "flux" else ()
    theirs = sampled(
        served(name, "--prompt", PROMPT, *negative, *size, *scale),
        path,
        4,
        tmp_path,
        "--latents",
        "--class",
        0,
    )
    ours = sampled(served(name, *size), path, 4, tmp_path, "--latents", "--prompt", PROMPT, *negative)
    assert relative_error(ours["latents"], theirs["latents"]) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, shape, guidance", TEXT[:3])
def test_the_programs_own_networks_are_the_pipeline(name, shape, guidance, kind, folder_of, pipe_of, sampled, tmp_path):
    """Without a worker: the folder of the pipeline is the model, its texts, network and schedule are the program's."""
    pipe = pipe_of(name)
    height, width = (side * pipe.vae_scale_factor for side in shape[1:])
    path = solver_for(pipe, shape, tmp_path, guidance, **KINDS[kind])
    asked = ("--prompt", PROMPT, "--negative", "blurry", "--size", f"{width}x{height}")
    theirs = sampled(folder_of(name), path, 4, tmp_path, "--latents", *asked, seeds="0-1")
    pipe.scheduler = GasScheduler.from_file(path, pipe.scheduler)
    ours = pipe(
        PROMPT,
        negative_prompt="blurry",
        num_images_per_prompt=2,
        num_inference_steps=4,
        guidance_scale=guidance,
        latents=torch.from_numpy(theirs["noise"]),
        height=height,
        width=width,
        output_type="latent",
    ).images
    assert relative_error(ours.numpy(), theirs["latents"]) < 1e-4


def test_folder_saved_by_this_version_is_the_program(folder_of, pipe_of, sampled, tmp_path):
    """transformers 5 gives the tensors of a text encoder other names."""
    pipe = pipe_of("sd1_diffusers")
    saved, original = tmp_path / "saved", folder_of("sd1_diffusers")
    pipe.save_pretrained(saved)
    shutil.copytree(original / "tokenizer", saved / "tokenizer", dirs_exist_ok=True)  # it leaves out merges.txt
    path = solver_for(pipe, (4, 8, 8), tmp_path)
    side = 8 * pipe.vae_scale_factor
    asked = ("--latents", "--prompt", PROMPT, "--size", f"{side}x{side}")
    ours, theirs = (sampled(folder, path, 4, tmp_path, *asked, seeds="0")["latents"] for folder in (saved, original))
    assert relative_error(ours, theirs) < 1e-6


def test_the_worker_keeps_its_offers(gas, folder_of):
    """Gradient, decoding and requests of a small pipeline."""
    said = gas("inspect", worker(folder_of("sd1_diffusers"), "--height", 64, "--width", 64))
    for check in ("gradient", "decodes", "gradient of images", "requests by their numbers"):
        assert f"ok: {check}" in said


@pytest.mark.parametrize("kind", KINDS)
def test_dit_is_the_program(kind, pipe_of, served, sampled, tmp_path, monkeypatch):
    pipe = pipe_of("dit_diffusers")
    path = solver_for(pipe, (4, 8, 8), tmp_path, **KINDS[kind])
    theirs = sampled(served("dit_diffusers"), path, 4, tmp_path, "--latents", "--class", 3, seeds="0-1")
    # The pipeline draws its noise itself, and gives decoded images alone.
    monkeypatch.setattr(
        "diffusers.pipelines.dit.pipeline_dit.randn_tensor",
        lambda *args, **kwargs: torch.from_numpy(theirs["noise"]),
    )
    states = []

    class Recording(GasScheduler):
        def step(self, *args, **kwargs):
            states.append(super().step(*args, **kwargs).prev_sample)
            return gas_diffusers.SchedulerOutput(prev_sample=states[-1])

    with open(path, encoding="utf-8") as file:
        pipe.scheduler = Recording(solver=json.load(file))
    pipe(class_labels=[3, 3], guidance_scale=1.0, num_inference_steps=4, output_type="pt")
    assert relative_error(states[-1].numpy(), theirs["latents"]) < 1e-4


def test_lora_in_the_worker_is_the_pipelines(fixtures, folder_of, sampled, tmp_path):
    pipe = opened(folder_of("sd1_diffusers"))
    path = solver_for(pipe, (4, 8, 8), tmp_path)
    size = 8 * pipe.vae_scale_factor
    lora = fixtures / "sd1_lora_kohya.safetensors"
    sizes = ("--height", size, "--width", size)
    with_lora = ("--prompt", PROMPT, "--lora", f"{lora}=0.8", *sizes)
    served = worker(folder_of("sd1_diffusers"), *with_lora)
    theirs = sampled(served, path, 4, tmp_path, "--latents", "--class", 0, seeds="0")
    asked = {
        "num_inference_steps": 4,
        "guidance_scale": 1.0,
        "latents": torch.from_numpy(theirs["noise"]),
        "height": size,
        "width": size,
        "output_type": "latent",
    }
    pipe.scheduler = GasScheduler.from_file(path, pipe.scheduler)
    without = pipe(PROMPT, **asked).images.numpy()
    pipe.load_lora_weights(lora, adapter_name="x")
    pipe.set_adapters(["x"], [0.8])
    assert relative_error(pipe(PROMPT, **asked).images.numpy(), theirs["latents"]) < 1e-4
    assert relative_error(without, theirs["latents"]) > 1e-2


# ---- The scheduler by itself ----


def example(kind="scalar", schedule=None, prediction="noise"):
    schedule = schedule or solvers.discrete(solvers.scaled_linear())
    tables = [solvers.noisy_table(schedule, nfe, seed=nfe, shape=(2, 4, 6), **KINDS[kind]) for nfe in (3, 4)]
    return solvers.solver(schedule, prediction, tables, guidance=7.5)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_scheduler_has_the_tables(kind, tmp_path, caplog):
    scheduler = GasScheduler(solver=example(kind))
    scheduler.save_pretrained(tmp_path)
    loaded = GasScheduler.from_pretrained(tmp_path)
    assert loaded.solver == scheduler.solver
    assert loaded.config.guidance == 7.5 and loaded.config.prediction_type == "epsilon"
    assert GasScheduler.from_config(loaded.config).solver == scheduler.solver
    assert "not expected" not in caplog.text


def test_saved_pipeline_keeps_the_solver(pipe_of, tmp_path):
    """The pipeline's folder has the tables; diffusers does not know the class, so the scheduler is given to it."""
    pipe = pipe_of("sd1_diffusers")
    pipe.scheduler = GasScheduler.from_file(solver_for(pipe, (4, 8, 8), tmp_path), pipe.scheduler)
    pipe.save_pretrained(tmp_path / "saved")
    scheduler = GasScheduler.from_pretrained(tmp_path / "saved", subfolder="scheduler")
    assert scheduler.solver.tables == pipe.scheduler.solver.tables
    again = diffusers.DiffusionPipeline.from_pretrained(tmp_path / "saved", scheduler=scheduler)
    assert type(again.scheduler) is GasScheduler


def test_wrong_number_of_steps_names_those_that_are_there():
    with pytest.raises(gas_table.SolverError, match="no table for nfe = 5, it has 3, 4"):
        GasScheduler(solver=example()).set_timesteps(5)


def test_times_are_the_networks():
    scheduler = GasScheduler(solver=example())
    scheduler.set_timesteps(3)
    assert numpy.allclose(scheduler.timesteps, [1000 * t - 1 for t in scheduler.table.t_eval], atol=1e-4)
    flow = GasScheduler(solver=example(schedule=solvers.FLOW, prediction="flow"))
    assert numpy.allclose(flow.timesteps, [1000 * t for t in flow.table.t_eval], atol=1e-4)


def test_steps_go_by_position_not_by_time():
    """Two evaluations at one time, as Heun's method makes: a search for the time would find one of them."""
    content = example()
    table = content["tables"][1]
    for key in ("t_eval", "alpha_eval", "sigma_eval"):
        table[key][2] = table[key][1]
    scheduler = GasScheduler(solver=content)
    scheduler.set_timesteps(4)
    run = gas_table.Run(scheduler.table, "noise")
    x = y = torch.randn(1, 2, 4, 6)
    for n, t in enumerate(scheduler.timesteps):
        assert scheduler.step_index == (n or None)
        x, y = scheduler.step(x * 0.1, t, x).prev_sample, run.advance(y, y * 0.1)
        assert torch.equal(x, y)
    assert scheduler.step_index is None  # the run has ended, the next one begins at the first step


def test_half_precision_states_are_combined_in_float32():
    scheduler = GasScheduler(solver=example())
    scheduler.set_timesteps(3)
    x = torch.randn(1, 2, 4, 6)
    half = scheduler.step((x * 0.5).half(), 0, x.half()).prev_sample
    scheduler.set_timesteps(3)
    full = scheduler.step((x * 0.5).half().float(), 0, x.half().float()).prev_sample
    assert half.dtype == torch.float16 and torch.equal(half, full.half())


def test_add_noise_is_the_schedule_between_and_at_steps():
    scheduler = GasScheduler(solver=example())
    theirs = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    x, noise = torch.randn(3, 2, 4, 6), torch.randn(3, 2, 4, 6)
    times = torch.tensor([0, 500, 999])
    assert torch.allclose(scheduler.add_noise(x, noise, times), theirs.add_noise(x, noise, times), atol=1e-5)
    scheduler.set_begin_index(2)  # a prepared run: the level of its first state, whatever time the network is told
    alpha, sigma = scheduler.table.alpha[2], scheduler.table.sigma[2]
    assert torch.equal(scheduler.add_noise(x, noise, times), alpha * x + sigma * noise)


def test_scale_noise_is_the_flow_schedulers():
    """Against FlowMatchEulerDiscreteScheduler's own numbers (tests/fixtures/flow.json)."""
    numbers = json.loads((SOURCE / "tests/fixtures/flow.json").read_text())["run"]["scale_noise"]
    clean, noise, times, noisy = (torch.tensor(numbers[key]) for key in ("clean", "noise", "timesteps", "noisy"))
    scheduler = GasScheduler(solver=example(schedule=solvers.FLOW, prediction="flow"))
    assert torch.allclose(scheduler.scale_noise(clean, times, noise), noisy, atol=1e-6)


def test_spectral_start_without_scale_model_input_is_an_error():
    scheduler = GasScheduler(solver=example("spectral"))
    scheduler.set_timesteps(3)
    x = torch.randn(1, 2, 4, 6)
    with pytest.raises(gas_table.SolverError, match="latents=scheduler.start_latents"):
        scheduler.step(x, 0, x)


def test_guided_input_has_the_start_twice():
    scheduler = GasScheduler(solver=example("spectral"))
    scheduler.set_timesteps(3)
    noise = torch.randn(2, 2, 4, 6)
    seen = scheduler.scale_model_input(torch.cat([noise, noise]), 0)
    assert torch.equal(seen[:2], seen[2:])
    run = gas_table.Run(scheduler.table, "noise")
    first = run.first_state(noise)
    assert torch.allclose(seen[:2], first)
    ours = scheduler.step(noise * 0.3, 0, noise).prev_sample
    assert torch.allclose(ours, run.advance(first, noise * 0.3), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_image_to_image_begins_where_strength_says(kind, pipe_of, tmp_path, monkeypatch):
    """From the image's own states: evaluations of the rest alone, and the samples of gas_table's later run."""
    pipe = pipe_of("sd1_diffusers")
    side = 16 * pipe.vae_scale_factor
    path = solver_for(pipe, (4, 16, 16), tmp_path, **KINDS[kind])
    image_pipe = diffusers.StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    image_pipe.set_progress_bar_config(disable=True)
    image_pipe.scheduler = GasScheduler.from_file(path, pipe.scheduler)
    image = torch.rand(1, 3, side, side) * 2 - 1
    seen = []
    original = image_pipe.unet.forward

    def watched(x, t, *args, **kwargs):
        output = original(x, t, *args, **kwargs)
        seen.append((x[:1].clone(), output[0].clone()))
        return output

    monkeypatch.setattr(image_pipe.unet, "forward", watched)
    result = image_pipe(
        PROMPT,
        image=image,
        strength=0.5,
        num_inference_steps=4,
        guidance_scale=1.0,
        output_type="latent",
        generator=torch.manual_seed(0),
    ).images
    assert len(seen) == 2
    table = image_pipe.scheduler.table
    run = gas_table.Run(table, "noise", begin=2)
    x = seen[0][0]
    for _, output in seen:
        x = run.advance(x, output)
    assert torch.allclose(result, x, atol=1e-5 * float(x.abs().max()))


# ---- What does not fit ----


def test_scheduler_of_another_model_is_refused(tmp_path):
    path = solvers.write(tmp_path / "s.gas.json", example())
    sd = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    GasScheduler.from_file(path, diffusers.PNDMScheduler(**sd))
    for other, message in [
        (diffusers.DDIMScheduler(**{**sd, "beta_end": 0.02}), "noise level of step"),
        (
            diffusers.DDIMScheduler(**sd, prediction_type="v_prediction"),
            "predicts noise, that of DDIMScheduler",
        ),
        (diffusers.DDIMScheduler(**sd, num_train_timesteps=500), "for a model of 1000 steps"),
        (diffusers.FlowMatchEulerDiscreteScheduler(), "is for flows"),
    ]:
        with pytest.raises(gas_table.SolverError, match=message):
            GasScheduler.from_file(path, other)
    with pytest.raises(gas_table.SolverError, match="discrete and flow schedules"):
        GasScheduler(solver=example(schedule=solvers.VP_LINEAR))
