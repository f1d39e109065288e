"""Images that set the initial ranges of activations: drawn by a generator, or noise."""

import torch

from dfkd.recipes import HOUSE
from dfkd.training.loop import build_generator
from pipeline.config.run_file import read_run_file
from pipeline.quantization.calibration import draw_images, draw_noise
from pipeline.teachers.networks import image_spec
from tests.support.quick_run import QUICK, write_run


def config(folder, count):
    section = {**QUICK["quantize"], "calibration_images": count}
    return read_run_file(write_run(folder, quantize=section, seed=3))


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
