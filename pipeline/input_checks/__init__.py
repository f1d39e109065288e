"""Warn of an `input` section and of a teacher that are probably wrong, without data.

`input_warnings` is called by `datafree-edge check` and by the first step of a run.
"""
