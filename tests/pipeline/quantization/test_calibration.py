"""Images that set the initial ranges of activations."""

from dataclasses import replace

import torch
from safetensors.torch import load_file

from dfkd.models import build
from dfkd.models.forward_pass import forward_with_features
from dfkd.recipes.house import HOUSE
from dfkd.recipes.zeroq import ZEROQ
from dfkd.terms.batch_norm import batch_norm_of_images
from dfkd.training.loop import build_generator
from pipeline.config.run_file import read_run_file
from pipeline.quantization import calibration
from pipeline.quantization.calibration import (
    draw_comparison_images,
    draw_images,
    draw_noise,
    make_batch_norm_images,
)
from pipeline.step_types import StepContext
from pipeline.store.step_workspace import Workspace
from pipeline.store.storage import Files
from pipeline.teachers.networks import image_spec
from tests.support.quick_run import QUICK, ROOT, write_run


class Silent:
    def say(self, line):
        pass

    def phase(self, name, done, total, losses):
        pass


def config(folder, count):
    teacher = {**QUICK["teacher"], "architecture": "lenet5-bn"}
    section = {**QUICK["quantize"], "calibration_images": count}
    return read_run_file(write_run(folder, teacher=teacher, quantize=section, seed=3))


def test_noise_is_uniform_over_value_range(tmp_path):
    chosen = config(tmp_path, 200)
    raw = image_spec(chosen.input).denormalise(draw_noise(chosen))
    assert raw.shape == (200, 1, 32, 32)
    assert raw.min() >= 0 - 1e-5
    assert raw.max() <= 1 + 1e-5
    torch.testing.assert_close(
        raw.histc(4, 0, 1) / raw.numel(), torch.full((4,), 0.25), atol=0.01, rtol=0
    )
    torch.testing.assert_close(draw_noise(chosen), draw_noise(chosen), atol=0, rtol=0)


def test_drawing_images_does_not_change_global_random_state(tmp_path):
    chosen = config(tmp_path, 40)
    torch.manual_seed(0)
    generator = build_generator(HOUSE, image_spec(chosen.input), 10)
    before = torch.get_rng_state()
    images = draw_images(generator, chosen)
    assert images.shape == (40, 1, 32, 32)
    assert not images.requires_grad
    assert torch.equal(before, torch.get_rng_state())


def test_batch_norm_images_match_teachers_statistics_better_than_noise(tmp_path, monkeypatch):
    """The images stay within the value range."""
    short = replace(ZEROQ, synthesizer=replace(ZEROQ.synthesizer, steps=60))
    short = replace(
        short, schedule=replace(short.schedule, batch=8), memory=replace(short.memory, capacity=8)
    )
    monkeypatch.setattr(calibration, "zeroq_recipe", lambda _: short)
    chosen = config(tmp_path, 128)
    spec = image_spec(chosen.input)
    teacher = build("resnet20", spec, 10, width=0.5).eval().requires_grad_(False)
    trained = ROOT / "benchmarks" / "teachers" / "resnet20" / "teacher.safetensors"
    teacher.load_state_dict(load_file(trained))
    workspace = Workspace(Files(str(tmp_path)), "checkpoints")
    context = StepContext(chosen, {}, {}, tmp_path, workspace, Silent())
    images, notes = make_batch_norm_images(context, teacher)

    def distance(x):
        return batch_norm_of_images(
            x, forward_with_features(teacher, x, ["statistics"]).statistics
        ).item()

    assert images.shape == (8, 1, 32, 32)
    assert distance(images) < 0.5 * distance(draw_noise(chosen)[:8])
    raw = spec.denormalise(images)
    assert raw.min() >= -2e-3
    assert raw.max() <= 1 + 2e-3
    assert notes["cost"]["images"] == 8


def test_comparison_images_are_others_and_leave_the_generator_alone(tmp_path):
    chosen = config(tmp_path, 40)
    torch.manual_seed(0)
    generator = build_generator(HOUSE, image_spec(chosen.input), 10)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    images = draw_comparison_images(generator, chosen)
    torch.testing.assert_close(dict(generator.state_dict()), before, atol=0, rtol=0)
    assert images.shape == (256, 1, 32, 32)
    assert torch.equal(images, draw_comparison_images(generator, chosen))
    calibration_images = draw_images(generator, chosen)
    distances = (images[:40, None] - calibration_images[None]).flatten(2).abs().amax(2)
    assert distances.min() > 1e-3


def test_large_comparison_images_fit_one_batch(tmp_path, monkeypatch):
    chosen = config(tmp_path, 40)
    generator = build_generator(HOUSE, image_spec(chosen.input), 10)
    monkeypatch.setattr(calibration, "MAX_DRAWN_VALUES", 16 * 32 * 32)
    assert draw_comparison_images(generator, chosen).shape == (16, 1, 32, 32)


def test_large_images_are_drawn_in_several_batches(tmp_path, monkeypatch):
    chosen = config(tmp_path, 40)
    torch.manual_seed(0)
    generator = build_generator(HOUSE, image_spec(chosen.input), 10)
    sizes = []
    generator.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    monkeypatch.setattr(calibration, "MAX_DRAWN_VALUES", 16 * 32 * 32)
    assert draw_images(generator, chosen).shape == (40, 1, 32, 32)
    assert sizes == [16, 16, 8]
