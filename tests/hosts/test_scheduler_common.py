"""What diffusers expects of each of its schedulers (SchedulerCommonTest in its tests/schedulers/test_schedulers.py),
asked of GasScheduler under the names that the expectations have there.

Not asked, and why:

- test_compatibles: no scheduler of diffusers can be made from this one's configuration, nor this one from theirs.
- test_trained_betas: the noise schedule is the solver file's; no betas are taken.
- numbers of steps at will (set_timesteps(100) in test_add_noise_device): the file says which numbers there are.
- a step at a timestep of the caller's choice (time_step in check_over_configs and check_over_forward): steps go by
  position, and what stands there is without effect. Both are asked, at the steps in their order.
"""

import inspect

import pytest
import torch
from gas_diffusers import GasScheduler
from test_diffusers import KINDS, example

STEPS = 4


@pytest.fixture(params=KINDS)
def scheduler(request):
    made = GasScheduler(solver=example(request.param))
    made.set_timesteps(STEPS)
    return made


@pytest.fixture
def sample():
    return torch.rand((4, 2, 4, 6), generator=torch.manual_seed(0))


def steps_of(scheduler, sample, **kwargs):
    """The states of a run whose network gives a tenth of its input."""
    states = []
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(sample, t)
        sample = scheduler.step(0.1 * seen, t, sample, **kwargs)[0]
        states.append(sample)
    return states


def saved_and_loaded(scheduler, folder):
    scheduler.save_config(folder)
    loaded = GasScheduler.from_pretrained(folder)
    loaded.set_timesteps(STEPS)
    return loaded


def test_from_save_pretrained(scheduler, sample, tmp_path):
    """check_over_configs and check_over_forward too: the same steps after saving and loading."""
    expected = steps_of(scheduler, sample)
    for state, again in zip(expected, steps_of(saved_and_loaded(scheduler, tmp_path), sample), strict=True):
        assert torch.equal(state, again)


def test_from_pretrained(scheduler, tmp_path):
    scheduler.save_pretrained(tmp_path)
    expected = {key: value for key, value in scheduler.config.items() if key != "_use_default_values"}
    loaded = GasScheduler.from_pretrained(tmp_path).config
    assert {key: value for key, value in loaded.items() if key != "_use_default_values"} == expected


def test_step_shape(scheduler, sample):
    assert {state.shape for state in steps_of(scheduler, sample)} == {sample.shape}


def test_scheduler_outputs_equivalence(scheduler, sample):
    as_output = steps_of(scheduler, sample)
    scheduler.set_timesteps(STEPS)
    for one, other in zip(as_output, steps_of(scheduler, sample, return_dict=False), strict=True):
        assert torch.equal(one, other)


def test_scheduler_public_api(scheduler, sample):
    assert isinstance(scheduler.init_noise_sigma, float)
    assert scheduler.scale_model_input(sample, 0.0).shape == sample.shape
    for method in ("step", "add_noise", "set_timesteps"):
        assert callable(getattr(scheduler, method))


def test_add_noise_device(scheduler, sample):
    noise = torch.randn_like(sample)
    noised = scheduler.add_noise(sample, noise, scheduler.timesteps[2][None])
    assert noised.shape == sample.shape and noised.device == sample.device


def test_deprecated_kwargs():
    kinds = [parameter.kind for parameter in inspect.signature(GasScheduler.__init__).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD not in kinds and not GasScheduler._deprecated_kwargs


def test_getattr_is_correct(scheduler):
    scheduler.own_attribute = 5
    scheduler.register_to_config(in_the_config=6)
    assert scheduler.own_attribute == 5
    with pytest.warns(FutureWarning):
        assert scheduler.in_the_config == 6
    with pytest.raises(AttributeError, match="has no attribute 'neither'"):
        _ = scheduler.neither
