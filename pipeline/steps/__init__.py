"""The steps of a run. One file per step: its declaration `STEP`, and `run`, which does its work.

Importing a step must not import torch: `run` imports what it needs.
"""
