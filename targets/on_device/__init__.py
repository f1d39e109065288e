"""What runs on a device: checks before a build, compiling a bundle, reports, serving files."""

__all__ = ["build_environment", "compile_bundle"]
