"""Loading a state dict into modules that ask for the version that saved them."""

import pytest
import torch
from safetensors.torch import load, save

from dfkd.models.state_dicts import load_state
from tests.support.network_forms import form


def test_state_of_a_file_gets_the_versions_of_the_network():
    saved, loaded = form("versioned"), form("versioned")
    with torch.no_grad():
        saved[-1].bias.fill_(3)
    state = load(save(dict(saved.state_dict())))
    with pytest.raises(ValueError, match="no version"):
        loaded.load_state_dict(state)
    load_state(loaded, state)
    assert torch.equal(loaded[-1].bias, saved[-1].bias)


def test_versions_of_the_state_dict_are_kept():
    saved, loaded = form("versioned"), form("versioned")
    state = saved.state_dict()
    state._metadata["4"] = {"version": 1}
    with pytest.raises(ValueError, match="no version"):
        load_state(loaded, state)


def test_missing_names_are_errors_unless_allowed():
    network = form("versioned")
    state = {name: value for name, value in network.state_dict().items() if "bias" not in name}
    with pytest.raises(RuntimeError, match="Missing key"):
        load_state(network, state)
    load_state(network, state, strict=False)
