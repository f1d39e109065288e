"""What runs on a Jetson: checks before a build, compiling a bundle, reports, serving files."""
