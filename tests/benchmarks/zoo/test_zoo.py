"""The zoo's list, images, run files and page; slow: run three networks."""

import dataclasses

import numpy as np
import pytest

from benchmarks.zoo import run as zoo_run
from benchmarks.zoo.models import JOBS, TIMM, TORCHVISION, Job
from benchmarks.zoo.page import render, runs
from benchmarks.zoo.structured_images import structured_images
from pipeline.config.run_file import parse_run

ROW = {
    "architecture": "torchvision:resnet18",
    "minutes": 1.0,
    "lint_errors": 0,
    "quantized_percent": 100.0,
    "agreement_percent": 95.0,
    "machine": "a machine",
}


def test_list_has_enough_networks_of_both_libraries():
    assert len(TORCHVISION) >= 24
    assert len(TIMM) >= 20
    assert len({job.key for job in JOBS}) == len(JOBS)


def test_structured_images_are_the_same_in_every_call_and_differ_from_each_other():
    images = structured_images(16, 20)
    np.testing.assert_array_equal(images, structured_images(16, 20))
    assert (images.min(), images.max()) >= (0, 0.5)
    assert images.max() <= 1
    assert len({image.tobytes() for image in images}) == 20


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.key)
def test_run_file_of_every_network_is_valid(job, tmp_path):
    config = parse_run(zoo_run.run_of(job, tmp_path), "run.yaml")
    assert config.input.shape == (3, job.size, job.size)
    assert config.quantize.float_layers == ()


@pytest.mark.parametrize("changed", ["size", "architecture", "arguments", "output"])
def test_digest_depends_on_the_network(changed):
    job = Job("torchvision:resnet18")
    other = {
        "size": 96,
        "architecture": "torchvision:resnet34",
        "arguments": {"a": 1},
        "output": "x",
    }[changed]
    assert dataclasses.replace(job, **{changed: other}).digest() != job.digest()


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"lint_errors": 1}, False),
        ({"quantized_percent": 94.9}, False),
        ({"agreement_percent": 89.9}, False),
    ],
)
def test_network_counts_as_running_only_if_it_meets_every_condition(change, counts):
    row = {**ROW, **change}
    assert runs(row) is counts
    assert f"**{int(counts)} of 1 measured" in render([row], 3)


def test_refused_network_is_listed_with_its_reason():
    row = {"architecture": "timm:x", "refused": "needs 224", "machine": "a machine"}
    assert "- timm:x: needs 224" in render([row], 0)


@pytest.mark.parametrize(
    "architecture",
    [
        "torchvision:squeezenet1_1",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("torchvision:mobilenet_v3_small", "timm:tinynet_e", "timm:levit_128s")
        ),
    ],
)
def test_network_runs_with_untrained_weights(architecture, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_run, "train", lambda network, *_: network.eval() and {"accuracy": 0.0})
    job = next(job for job in JOBS if job.architecture == architecture)
    row = zoo_run.measure(job, tmp_path, tmp_path, tmp_path)
    assert "minutes" in row, row
    assert (row["lint_errors"], row["quantized_percent"]) == (0, 100.0)
