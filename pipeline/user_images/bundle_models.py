"""The models of a bundle that run in ONNX Runtime on this machine."""

from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
from pydantic import ValidationError

from base.errors import InputError, first_line
from base.one_line import one_line
from base.untrusted_files import PARSE_ERRORS
from pipeline.config.input_section import InputSection
from pipeline.roles import PRECISIONS
from pipeline.user_images.preparing import Pixels, normalize
from pipeline.user_images.reading import MODES
from pipeline.user_images.scoring import Logits, Model
from targets.bundle.bundle_files import Manifest
from targets.cpu.session import open_session, predict
from targets.graph.graph_file import read_graph


@dataclass(frozen=True)
class BundleModels:
    """What a bundle says about its models and their inputs.

    Attributes:
        files: The compiled model of each precision, "int8" and "fp32".
        input: How pictures become inputs.
        class_names: The names of the classes in order, or [].
        classes: The number of classes.
        note: If the models are not those of the bundle's own targets, why; else "".
    """

    files: dict[str, Path]
    input: InputSection
    class_names: list[str]
    classes: int
    note: str

    def name_of(self, index: int) -> str:
        """Return the name of a class, or its number if the classes have no names."""
        return self.class_names[index] if self.class_names else str(index)

    def open(self, precision: str, threads: int = 0) -> ort.InferenceSession:
        """Open a model.

        Args:
            precision: "int8" or "fp32".
            threads: Threads of a run; 0 for one per core.

        Raises:
            InputError: If it cannot be opened, or does not take the bundle's pictures.
        """
        path = self.files[precision]
        try:
            read_graph(path)
            session = open_session(path, threads=threads)
            (images,), (logits,) = session.get_inputs(), session.get_outputs()
            names, shape = (images.name, logits.name), tuple(images.shape[1:])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class.
            raise InputError(f"{path}: cannot be run ({first_line(error)}); run again") from None
        if names != ("images", "logits") or shape != self.input.shape:
            raise InputError(
                f"{path}: takes {names[0]!r} of shape {list(shape)}, but its manifest says "
                f"'images' of shape {list(self.input.shape)}; run again"
            )
        return session

    def runner(self, precision: str) -> Model:
        """Open a model and return it as a function of pixels.

        Raises:
            InputError: As `open`; the function raises it if the model fails.
        """
        session = self.open(precision)
        takes_pixels = session.get_inputs()[0].type == "tensor(uint8)"

        def run(pixels: Pixels) -> Logits:
            images = pixels if takes_pixels else normalize(pixels, self.input)
            try:
                logits = predict(session, images)
            except Exception as error:  # ONNX Runtime's exceptions have no common base class.
                why = first_line(error)
                raise InputError(
                    f"{self.files[precision]}: cannot be run ({why}); run again"
                ) from None
            if logits.shape != (len(pixels), self.classes):
                raise InputError(
                    f"{self.files[precision]}: returns logits of shape {list(logits.shape)} for "
                    f"{len(pixels)} pictures and {self.classes} classes; run again"
                )
            return logits

        return run


def bundle_models(folder: Path, manifest: Manifest) -> BundleModels:
    """Return the models of a bundle's first CPU target.

    Every run compiles for a CPU, also if its own targets are TensorRT's: then the models of
    local-cpu are used, and `note` says so.

    Args:
        folder: The bundle's folder.
        manifest: Its manifest, from `open_bundle`.

    Raises:
        InputError: If the bundle has no such models, or networks for other images than pictures.
    """
    if not manifest["targets"]:
        raise InputError(
            f"{folder}: holds no model to run: below 8 bits nothing is exported; "
            "run again with 8 bits"
        )
    try:
        name, target = next(iter(manifest["targets"].items()))
        files = {precision: folder / str(target[precision]["file"]) for precision in PRECISIONS}
        listed = all(
            str(target[precision]["file"]) in manifest["files"] for precision in PRECISIONS
        )
        section = InputSection.model_validate(manifest["input"])
        class_names = [str(word) for word in manifest["teacher"]["class_names"]]
        classes, own = (
            int(manifest["run"]["teacher"]["classes"]),
            [str(word) for word in manifest["run"]["targets"]],
        )
    except (ValidationError, *PARSE_ERRORS):
        listed = False
    if not listed or (class_names and len(class_names) != classes):
        raise InputError(
            f"{folder}: its manifest names no models, or describes no valid input and classes; "
            "run again"
        )
    if section.shape[0] not in MODES:
        raise InputError(
            f"{folder}: its network takes {section.shape[0]} channels; pictures have 1 (grey) or 3"
        )
    note = (
        one_line(f"the models of {name} run here in ONNX Runtime, not those of {', '.join(own)}")
        if name not in own
        else ""
    )
    return BundleModels(files, section, class_names, classes, note)
