"""`GasScheduler`: a solver file of `gas` as a scheduler of diffusers.

    pipe = StableDiffusionPipeline.from_pretrained(...)
    pipe.scheduler = GasScheduler.from_file("solver.gas.json", pipe.scheduler)
    image = pipe(prompt, num_inference_steps=6, guidance_scale=7.5).images[0]

`num_inference_steps` chooses the table, so it must be a number of evaluations that the file has. Guidance is the
pipeline's: give it what the file was made for (`scheduler.config.guidance`).

**Image to image.** A run that begins later (`strength` below 1) takes the states before its beginning from the straight
path through the noisy image (gas_table.Run). The solver was not fitted for that: results are those of a multistep
method with a history made up for it.

**Spectral start.** A table with a start makes its first state from pure noise. Pipelines that call scale_model_input
(Stable Diffusion, SDXL, PixArt, DiT) need nothing; those that do not (Stable Diffusion 3, FLUX) must be given
`latents=scheduler.start_latents(noise)`, and step() says so if they were not.
"""

import dataclasses
import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput

if __package__:
    from . import gas_table
else:
    import gas_table

# diffusers' names of what a network predicts, by ours.
PREDICTION_TYPES = {
    "noise": "epsilon",
    "data": "sample",
    "velocity": "v_prediction",
    "flow": "flow_prediction",
}
FLOW_STEPS = 1000  # a flow's network is told 1000 t


class GasScheduler(SchedulerMixin, ConfigMixin):
    """Runs the tables of one solver file, a step for each call, by position.

    `solver` is the content of the file as JSON gives it. It is part of the configuration, so that save_pretrained and
    from_pretrained carry the tables.
    """

    order = 1
    _compatibles = []

    # Keyword arguments alone: diffusers does not save others. All but `solver` follow from it, whatever is given; they
    # are in the configuration because pipelines read them there.
    @register_to_config
    def __init__(
        self,
        *,
        solver: dict,
        num_train_timesteps=None,
        prediction_type=None,
        guidance=None,
        use_flow_sigmas=None,
        steps_offset=None,
    ):
        self.solver = gas_table.solver_from_json(_plain(solver), "the scheduler's solver")
        kind = self.solver.schedule["kind"]
        if kind not in ("discrete", "flow"):
            raise gas_table.SolverError(f"a solver for a schedule {kind!r}: pipelines have discrete and flow schedules")
        flow = kind == "flow"
        self.register_to_config(
            num_train_timesteps=FLOW_STEPS if flow else self.solver.timesteps,
            prediction_type=PREDICTION_TYPES[self.solver.prediction],
            guidance=self.solver.guidance,
            use_flow_sigmas=flow,  # FLUX asks, and then leaves the times to the scheduler
            steps_offset=1,
        )  # Stable Diffusion's pipelines warn of another; nothing here depends on it
        self.set_timesteps(max(self.solver.tables))

    @classmethod
    def from_file(cls, path, scheduler=None):
        """The scheduler of a solver file, in place of a pipeline's own `scheduler`.

        Raises gas_table.SolverError if the file is for another noise schedule or prediction than that one's.
        """
        content = gas_table.read_content(path)
        try:
            made = cls(solver=content)
        except gas_table.SolverError as error:
            raise gas_table.SolverError(f"{path}: {error}") from None
        made.solver = dataclasses.replace(made.solver, name=str(path))
        if scheduler is not None:
            check_scheduler(made.solver, scheduler)
        return made

    # ---- What pipelines call ----

    def set_timesteps(self, num_inference_steps, device=None, mu=None):
        """Takes the table with so many evaluations. Its times are what was fitted: `mu`, by which flow pipelines shift
        times with the size of the image, is without effect."""
        self.table = self.solver.table(num_inference_steps)
        self.num_inference_steps = num_inference_steps
        times = [self._network_time(t) for t in self.table.t_eval]
        self.timesteps = torch.tensor(times, dtype=torch.float32, device=device)
        self.init_noise_sigma = self.table.prior_std
        self._begin_index = self._run = self._started = None
        self._noised = False

    @property
    def begin_index(self):
        return self._begin_index

    @property
    def step_index(self):
        """The step that comes next; None before the first."""
        return self._run.n if self._run is not None else None

    def set_begin_index(self, begin_index=0):
        self._begin_index = begin_index

    def scale_model_input(self, sample, timestep=None):
        """The network's input is the state; at a spectral start the state is made here, of the noise."""
        if self._position() > 0 or not self._starts_from_noise():
            return sample
        self._started = self._first_state(sample)
        return self._started.to(sample.dtype)

    def step(self, model_output, timestep, sample, return_dict=True):
        """The next state. `timestep` is not looked at: steps come in their order."""
        if self._run is None:
            self._run = gas_table.Run(self.table, self.solver.prediction, self._position())
        state = self._state(sample).float()
        if self.table.spectral:
            layout = _Layout(self.table.basis.shape, state)
            following = layout.pack(self._run.advance(layout.unpack(state), layout.unpack(model_output.float())))
        else:
            following = self._run.advance(state, model_output.float())
        self._latents_started = False
        if self._run.n == self.table.nfe:
            self._run = self._begin_index = None
        following = following.to(sample.dtype)
        return SchedulerOutput(prev_sample=following) if return_dict else (following,)

    def add_noise(self, original_samples, noise, timesteps):
        """alpha x0 + sigma noise: at the step that comes next, when a run is prepared or under way (image to image,
        inpainting), else at the network's times `timesteps` [B], between the steps of training too."""
        if self._begin_index is not None or self._run is not None:
            n = self._position()
            self._noised = True
            return self.table.alpha[n] * original_samples + self.table.sigma[n] * noise
        levels = [self._level(float(t)) for t in timesteps.flatten()]
        shape = (-1,) + (1,) * (original_samples.dim() - 1)
        alpha, sigma = (
            torch.tensor(part, dtype=torch.float64).reshape(shape).to(original_samples) for part in zip(*levels)
        )
        return alpha * original_samples + sigma * noise

    def scale_noise(self, sample, timestep, noise):
        """add_noise, as flow pipelines call it."""
        return self.add_noise(sample, noise, timestep)

    def start_latents(self, noise):
        """The first state of standard normal `noise`, to be given to a pipeline as `latents`."""
        state = self._first_state(noise * self.table.prior_std) if self.table.start else noise
        self._latents_started = self.table.start is not None
        return state.to(noise.dtype)

    def __len__(self):
        return self.config.num_train_timesteps

    # ---- Parts ----

    _latents_started = False  # start_latents made what the next run begins with
    _noised = False  # or add_noise did, of an image

    def _starts_from_noise(self):
        return self.table.start is not None and not self._latents_started and not self._noised

    def _position(self):
        return self._run.n if self._run is not None else self._begin_index or 0

    def _first_state(self, noise):
        layout = _Layout(self.table.basis.shape, noise)
        return layout.pack(gas_table.Run(self.table, self.solver.prediction).first_state(layout.unpack(noise.float())))

    def _state(self, sample):
        """What the network has seen at this step."""
        if self._run.n > 0 or not self._starts_from_noise():
            return sample
        if self._started is None:
            raise gas_table.SolverError(
                "this table begins with a spectral start, and the pipeline does not call scale_model_input: give it "
                "latents=scheduler.start_latents(noise), after scheduler.set_timesteps"
            )
        started, self._started = self._started, None
        return started[: len(sample)]  # guidance puts the same states behind each other

    def _network_time(self, t):
        return t * FLOW_STEPS if self.solver.timesteps is None else t * self.solver.timesteps - 1

    def _level(self, network_time):
        """(alpha, sigma) at a network's time."""
        if self.solver.timesteps is None:
            t = network_time / FLOW_STEPS
            return 1 - t, t
        knots = self.solver.schedule["alphas_cumprod"]
        left = min(max(int(network_time), 0), len(knots) - 2)
        low, high = math.log(knots[left]), math.log(knots[left + 1])
        alpha_squared = math.exp(low + (network_time - left) * (high - low))
        return math.sqrt(alpha_squared), math.sqrt(1 - alpha_squared)


def check_scheduler(solver, scheduler):
    """Raises gas_table.SolverError unless the solver is for the models of this scheduler of diffusers."""
    name, config = type(scheduler).__name__, scheduler.config
    if "FlowMatch" in name or config.get("prediction_type") == "flow_prediction":
        if solver.schedule["kind"] != "flow":
            raise gas_table.SolverError(
                f"{solver.name}: for a schedule {solver.schedule['kind']!r}, {name} is for flows"
            )
        return gas_table.check_prediction(solver, "flow", name)
    if isinstance(scheduler, GasScheduler):
        alphas_cumprod = scheduler.solver.schedule["alphas_cumprod"]
    else:
        alphas_cumprod = scheduler.alphas_cumprod.tolist()
    gas_table.check_discrete_schedule(solver, alphas_cumprod, name)
    theirs = config.get("prediction_type", "epsilon")
    ours = {word: key for key, word in PREDICTION_TYPES.items()}
    return gas_table.check_prediction(solver, ours.get(theirs, theirs), name)


class _Layout:
    """States as [B,C,H,W]. FLUX packs patches of 2x2 into tokens, [B, H/2 W/2, 4C]; other shapes stay as they are."""

    def __init__(self, shape, like):
        channels, height, width = shape
        self._shape = (channels, height // 2, 2, width // 2, 2)
        self._packed = like.dim() == 3 and tuple(like.shape[1:]) == (height // 2 * (width // 2), 4 * channels)

    def unpack(self, tokens):
        if not self._packed:
            return tokens
        channels, height, _, width, _ = self._shape
        patches = tokens.reshape(-1, height, width, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(-1, channels, 2 * height, 2 * width)

    def pack(self, states):
        if not self._packed:
            return states
        channels, height, _, width, _ = self._shape
        patches = states.reshape(-1, *self._shape).permute(0, 2, 4, 1, 3, 5)
        return patches.reshape(-1, height * width, 4 * channels)


def _plain(value):
    """Configurations of diffusers come with containers of their own."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
