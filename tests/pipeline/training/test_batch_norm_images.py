"""Calibration images that match the teacher's batch-norm statistics."""

from dataclasses import replace

from safetensors.torch import load_file

from dfkd.models import build
from dfkd.models.forward_pass import look
from dfkd.recipes import ZEROQ
from dfkd.synthesizers.synthesis import Synthesis
from dfkd.terms.batch_norm import batch_norm_of_images
from pipeline.config.run_file import read_run_file
from pipeline.quantization.calibration import draw_noise
from pipeline.steps.step_context import Work
from pipeline.store.step_workspace import Unfinished
from pipeline.store.storage import Files
from pipeline.teachers.networks import image_spec
from pipeline.training import batch_norm_images
from pipeline.training.batch_norm_images import make_batch_norm_images
from tests.support.quick_run import QUICK, ROOT, write_run


class Silent:
    def say(self, line):
        pass

    def phase(self, name, done, total, losses):
        pass


def test_images_match_teachers_statistics_better_than_noise(tmp_path, monkeypatch):
    """The images stay within the value range."""
    short = replace(ZEROQ, synthesizer=replace(ZEROQ.synthesizer, steps=60))
    short = replace(
        short, schedule=replace(short.schedule, batch=8), memory=replace(short.memory, capacity=8)
    )
    monkeypatch.setattr(batch_norm_images, "ZEROQ", short)
    section = {**QUICK["teacher"], "architecture": "lenet5-bn"}
    chosen = read_run_file(write_run(tmp_path, teacher=section, seed=3))
    spec = image_spec(chosen.input)
    teacher = build("resnet20", spec, 10, width=0.5).eval().requires_grad_(False)
    trained = ROOT / "benchmarks" / "teachers" / "resnet20" / "teacher.safetensors"
    teacher.load_state_dict(load_file(trained))
    unfinished = Unfinished(Files(str(tmp_path)), "checkpoints")
    work = Work(chosen, {}, {}, tmp_path, unfinished, Silent())
    images, notes = make_batch_norm_images(work, teacher)

    def distance(x):
        return batch_norm_of_images(Synthesis(x, look(teacher, x, ["batch norm"]))).item()

    assert images.shape == (8, 1, 32, 32)
    assert distance(images) < 0.5 * distance(draw_noise(chosen)[:8])
    raw = spec.denormalise(images)
    assert raw.min() >= -2e-3
    assert raw.max() <= 1 + 2e-3
    assert notes["cost"]["images"] == 8
