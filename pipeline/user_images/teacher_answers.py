"""The teacher of a run file as a model for pictures. Needs torch."""

from pathlib import Path

import torch

from base.errors import InputError
from pipeline.config.run_file import read_run_file
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.networks import image_spec
from pipeline.teachers.teacher_file import load_teacher_file
from pipeline.teachers.weights_file import read_weights
from pipeline.user_images.bundle_models import BundleModels
from pipeline.user_images.preparing import Pixels, normalize
from pipeline.user_images.scoring import Logits, Model
from targets.bundle.bundle_files import Manifest


def open_teacher(run_file: Path, bundle: BundleModels, manifest: Manifest) -> tuple[Model, str]:
    """Load the teacher of a run file, on the CPU.

    Args:
        run_file: The run file.
        bundle: The models that it is compared with.
        manifest: Their bundle's manifest.

    Returns:
        The teacher, and a note if it is not the teacher of the bundle, else "".

    Raises:
        InputError: If it cannot be loaded, or takes other pictures than the bundle's models.
    """
    config = read_run_file(run_file)
    check_config(config)
    if config.input != bundle.input or config.teacher.classes != bundle.classes:
        raise InputError(
            f"--teacher {run_file}: its input or number of classes is not that of the bundle; give "
            "the bundle's run file, or run it again: unchanged steps are reused"
        )
    loaded = load_teacher_file(
        read_weights(config.teacher.weights),
        config.teacher,
        image_spec(config.input),
        torch.device("cpu"),
        compared=False,
    )
    network, fingerprint = loaded.network, loaded.fingerprint
    expected = manifest["teacher"].get("fingerprint")

    @torch.inference_mode()
    def run(pixels: Pixels) -> Logits:
        logits: Logits = network(torch.from_numpy(normalize(pixels, config.input))).numpy()
        return logits

    if fingerprint == expected:
        return run, ""
    return run, (
        f"{run_file} has another teacher ({fingerprint[:12]}) than the bundle ({expected!s:.12})"
    )
