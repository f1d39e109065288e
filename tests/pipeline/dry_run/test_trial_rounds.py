"""Trial rounds: every recipe can be tried with a small batch, and failures are reported."""

import pytest
import torch
from torch import nn

from base.errors import InputError
from dfkd.models import build
from dfkd.recipes import RECIPES
from pipeline.config.run_file import parse_run
from pipeline.dry_run.trial_rounds import run_trial_rounds, trial_recipe
from pipeline.quantization.fake_quantizers import prepare
from pipeline.quantization.quantize_student import make_scheme
from pipeline.teachers.network_checks import Networks
from pipeline.teachers.networks import image_spec
from tests.support.quick_run import QUICK

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid_with_a_small_batch(name):
    recipe = RECIPES[name]
    trial = trial_recipe(recipe, 2)
    assert 2 <= trial.schedule.batch <= min(16, recipe.schedule.batch)
    assert trial.schedule.student_steps == trial.synthesizer.steps == 1
    assert trial.terms == recipe.terms


class FailsInTraining(nn.Module):
    """A network that fails in train mode."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        if self.training:
            raise RuntimeError("not in train mode")
        return self.network(images)


def networks_of(config, student):
    spec = image_spec(config.input)
    teacher = build("lenet5-bn", spec, 10).eval().requires_grad_(False)
    return Networks(teacher, student.eval(), "fingerprint", (), None)


def config_of(**quantize):
    return parse_run({**QUICK, "quantize": {**QUICK["quantize"], **quantize}}, "run.yaml")


@pytest.mark.parametrize("method", ["adversarial", "fresh", "batch-norm-images", "noise"])
def test_trainings_of_a_run_leave_its_networks_unchanged(method):
    config = config_of(method=method, overrides={})
    spec = image_spec(config.input)
    student = build("lenet5-bn", spec, 10)
    images = spec.normalise(torch.rand(2, *spec.shape))
    prepared = prepare(student.eval(), images, make_scheme(config, half_range=False))
    networks = networks_of(config, student)
    before = [
        {name: value.clone() for name, value in network.state_dict().items()}
        for network in (networks.teacher, student, prepared)
    ]
    run_trial_rounds(config, networks, prepared, 2, CPU)
    after = [network.state_dict() for network in (networks.teacher, student, prepared)]
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_network_that_cannot_be_trained_is_refused():
    config = config_of(method="noise", overrides={})
    student = FailsInTraining(build("lenet5-bn", image_spec(config.input), 10))
    with pytest.raises(InputError, match=r"distill: a round of training by .* fails: not in train"):
        run_trial_rounds(config, networks_of(config, student), student, 2, CPU)
