"""Run the pipeline for one row of the table, and score the result on real test images."""

from pathlib import Path
from typing import Any

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.one_at_a_time import row_command
from benchmarks.onnx_teachers.jobs import JOBS, Job
from benchmarks.onnx_teachers.teachers import TEACHERS
from benchmarks.paired_scores import paired_scores
from benchmarks.product_run import product_run
from targets.cpu.session import open_session, predict


def measure(job: Job, data: Path, teachers: Path, state: Path) -> Row:
    """Run the pipeline and return the row.

    Args:
        job: The job.
        data: Folder with the real data sets.
        teachers: Folder with the networks trained by others.
        state: Folder for teachers, run files, bundles and stores.
    """
    folder = state / job.key
    folder.mkdir(parents=True, exist_ok=True)
    teacher, graph = TEACHERS[job.teacher], folder / "teacher.onnx"
    teacher.export(teachers, graph)
    weights = graph if job.file == "onnx" else teacher.weights(teachers)
    ran = product_run(run_of(job, weights), folder)
    images, labels = teacher.test_images(data)
    logits = predict(open_session(graph, threads=0), images.numpy())
    return {
        "teacher": job.teacher,
        "file": job.file,
        "student": job.student,
        "steps": job.steps,
        "seed": job.seed,
        "teacher_percent": round(100 * float((logits.argmax(1) == labels.numpy()).mean()), 2),
        **paired_scores(ran.graphs, images, labels),
        **ran.notes,
        "digest": job.digest(),
        "machine": describe_machine(),
        "command": "python -m benchmarks.onnx_teachers",
    }


def run_of(job: Job, weights: Path) -> dict[str, Any]:
    """Return the run file of a job.

    Args:
        job: The job.
        weights: The teacher's file.
    """
    teacher = TEACHERS[job.teacher]
    spec = teacher.spec
    section: dict[str, Any] = {"weights": str(weights.absolute()), "classes": teacher.classes}
    if job.file == "state dict":
        section["architecture"] = teacher.architecture
    return {
        "name": "onnx-teachers",
        "teacher": section,
        "input": {"shape": list(spec.shape), "mean": list(spec.mean), "std": list(spec.std)},
        **job.settings,
    }


if __name__ == "__main__":
    row_command(JOBS, measure)
