"""Train one student of the table and measure it on the MNIST test images."""

from pathlib import Path

import torch

from benchmarks.data import accuracy_percent, load_data_set
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.mnist.teachers import TEACHERS
from benchmarks.one_at_a_time import row_command
from benchmarks.paired_scores import paired_scores
from benchmarks.product_run import product_run
from benchmarks.start.jobs import JOBS, Job
from pipeline.config.run_file import parse_run
from pipeline.teachers.networks import build_section, image_spec
from pipeline.teachers.teacher_start import start_student


def measure(job: Job, data: Path, teachers: Path, state: Path) -> Row:
    """Train the student and return the row.

    Args:
        job: The job.
        data: Folder with the real data sets.
        teachers: Folder with the networks trained by others.
        state: Folder for run files, bundles and stores.
    """
    ran = product_run(job.run, state / job.key)
    config = parse_run(job.run, job.key)
    assert config.student != "same"
    spec = image_spec(config.input)
    images, labels = load_data_set("mnist", data, train=False, spec=spec)
    teacher = TEACHERS[job.teacher].load(teachers)
    torch.manual_seed(job.seed)
    student = build_section(config.student, spec, config.teacher.classes)
    start_student(config, student, teacher)
    return {
        "teacher": job.teacher,
        "steps": job.steps,
        "start": job.start,
        "seed": job.seed,
        "student": ran.manifest["student"],
        "teacher_accuracy": round(accuracy_percent(teacher, images, labels), 2),
        "untrained": round(accuracy_percent(student.eval(), images, labels), 2),
        **paired_scores(ran.graphs, images, labels),
        **ran.notes,
        "digest": job.digest(),
        "machine": describe_machine(),
        "command": "python -m benchmarks.start",
    }


if __name__ == "__main__":
    row_command(JOBS, measure)
