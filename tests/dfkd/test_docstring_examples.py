"""The examples in the docstrings of dfkd are run."""

import doctest
import importlib
import pkgutil

import pytest

import dfkd

MODULES = sorted(info.name for info in pkgutil.walk_packages(dfkd.__path__, "dfkd."))
WITH_EXAMPLES = {
    "dfkd.distillation",
    "dfkd.images",
    "dfkd.models.construction",
    "dfkd.models.forward_pass",
    "dfkd.models.generators",
    "dfkd.recipe",
    "dfkd.recipes",
    "dfkd.student_loss.logits",
    "dfkd.terms.certainty",
    "dfkd.terms.make",
}
"""Modules whose public names must have an example."""


@pytest.mark.parametrize("name", ["dfkd", *MODULES])
def test_docstring_examples_of_a_module_hold(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    if name in WITH_EXAMPLES:
        assert result.attempted > 0
