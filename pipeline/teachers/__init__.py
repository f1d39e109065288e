"""Teachers: weights files, networks by name, checks before a run, and the registry of teachers."""

from base.lazy_names import lazy_names

__all__ = [
    "build_network",
    "build_section",
    "check_config",
    "check_networks",
    "check_weights",
    "find_changes",
    "image_spec",
    "load_teacher",
    "parse_weights",
    "read_weights",
]

__getattr__ = lazy_names(
    __name__,
    {
        "build_network": "networks",
        "build_section": "networks",
        "check_config": "config_checks",
        "check_networks": "network_checks",
        "check_weights": "weights_file",
        "find_changes": "registry",
        "image_spec": "networks",
        "load_teacher": "loading",
        "parse_weights": "loading",
        "read_weights": "weights_file",
    },
)
