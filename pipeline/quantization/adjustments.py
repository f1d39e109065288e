"""Adjust ranges, scales and biases of a network before its quantized fine-tuning."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from base.notify import Advance, ignore
from dfkd.models.forward_pass import forward_with_features
from pipeline.quantization.bias_correction import correct_biases
from pipeline.quantization.equalization import equalize
from pipeline.quantization.fake_quantizers import CALIBRATION_BATCH, add_quantizers
from pipeline.quantization.scheme import Scheme
from pipeline.tracing.batch_norm_folding import fixed_form
from pipeline.tracing.fixed_form import FixedForm

MAP_TOLERANCE = 1e-3
"""Feature maps count as unchanged up to this relative distance."""


@dataclass(frozen=True)
class Candidate:
    """A network without and with its fake-quantizers.

    Attributes:
        form: The network without fake-quantizers.
        scheme: How it is quantized.
        prepared: The network with calibrated fake-quantizers.
    """

    form: FixedForm
    scheme: Scheme
    prepared: FixedForm


@dataclass(frozen=True)
class Adjuster:
    """Try each adjustment and keep those that lower the squared error of the logits.

    Equalization, ranges of least squared error and bias correction are tried in this order. Each
    starts from the adjustments that were kept before. It is kept only if it lowers the mean squared
    difference between the logits of the fake-quantized and of the float network.

    Attributes:
        calibration: (N, C, H, W) images that set the activation ranges.
        comparison: (N, C, H, W) other images, on which the logits are compared.
        keeps_maps: Whether the outputs of the network's `compared_layers` must stay as they are,
            because an objective compares them with those of a teacher. Equalization is then
            skipped if it changes them.
        advance: Receives the number of images after each batch of a calibration pass.
    """

    calibration: Tensor
    comparison: Tensor
    keeps_maps: bool = False
    advance: Advance = ignore

    def prepare(self, network: nn.Module, scheme: Scheme) -> tuple[FixedForm, dict[str, Any]]:
        """Return a prepared copy of a network with the adjustments that were kept, and notes.

        Args:
            network: A float student. It is not changed.
            scheme: How to quantize it.

        Returns:
            The network with calibrated fake-quantizers, and the notes. `images` is the number of
            compared images. `error` is the error without adjustments. `tried` contains for each
            adjustment its `error` (None if it does not apply to the network) and whether it was
            `kept`.

        Raises:
            InputError: As `pipeline.quantization.fake_quantizers.prepare`.
        """
        form = fixed_form(network, self.calibration[:2])
        wanted = self._logits(form)
        best = self._quantized(form, scheme)
        error = self._error(best, wanted)
        tried: dict[str, Any] = {}
        notes = {"images": len(self.comparison), "error": error, "tried": tried}
        for name, adjust in self._adjustments.items():
            tried[name] = {"error": None, "kept": False}
            changed = adjust(best)
            if changed is None:
                continue
            found = self._error(changed, wanted)
            tried[name] = {"error": found, "kept": found < error}
            if found < error:
                best, error = changed, found
        return best.prepared, notes

    @property
    def _adjustments(self) -> dict[str, Callable[[Candidate], Candidate | None]]:
        return {
            "equalization": self._equalized,
            "squared-error ranges": self._with_squared_error_ranges,
            "bias correction": self._with_corrected_biases,
        }

    def _equalized(self, best: Candidate) -> Candidate | None:
        form = copy.deepcopy(best.form)
        if not equalize(form, self.calibration[:2]):
            return None
        if self.keeps_maps and not self._has_equal_maps(best.form, form):
            return None
        return self._quantized(form, best.scheme)

    def _with_squared_error_ranges(self, best: Candidate) -> Candidate | None:
        return self._quantized(best.form, replace(best.scheme, ranges="squared-error"))

    def _with_corrected_biases(self, best: Candidate) -> Candidate | None:
        prepared = copy.deepcopy(best.prepared)
        if not correct_biases(prepared, self.calibration[:2]):
            return None
        return replace(best, prepared=prepared)

    def _quantized(self, form: FixedForm, scheme: Scheme) -> Candidate:
        prepared = copy.deepcopy(form)
        add_quantizers(prepared, self.calibration, scheme, self.advance)
        return Candidate(form, scheme, prepared)

    @torch.no_grad()
    def _logits(self, network: FixedForm) -> Tensor:
        batches = self.comparison.split(CALIBRATION_BATCH)
        return torch.cat([network(images) for images in batches]).double()

    def _error(self, candidate: Candidate, wanted: Tensor) -> float:
        return float((self._logits(candidate.prepared) - wanted).square().mean())

    @torch.no_grad()
    def _has_equal_maps(self, before: FixedForm, after: FixedForm) -> bool:
        images = self.comparison[:2]
        old, new = (
            forward_with_features(network, images, ("maps",)).maps for network in (before, after)
        )
        return all(
            float((one - other).norm()) <= MAP_TOLERANCE * float(one.norm())
            for one, other in zip(old, new, strict=True)
        )


def adjustment_line(notes: dict[str, Any]) -> str:
    """Return the notes of `Adjuster.prepare` as one line."""
    kept = [name for name, trial in notes["tried"].items() if trial["kept"]]
    error = min([notes["error"], *(notes["tried"][name]["error"] for name in kept)])
    return (
        f"squared logit error {notes['error']:.3g} -> {error:.3g} on {notes['images']} generated "
        f"images that were not used for calibration; adjustments kept: {', '.join(kept) or 'none'}"
    )
