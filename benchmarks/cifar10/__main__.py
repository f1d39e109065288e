r"""Measure one row of the CIFAR-10 tables, on a GPU: a recipe and a published teacher-student pair.

    python -m benchmarks.cifar10 DATA --pair resnet34-resnet18 --recipe house \
        --passes 20000000 --slice 540 --state STATE --seed 0
    python -m benchmarks.cifar10 --collect STATE...

The command trains the teacher (or loads an existing one), distils a student and writes
STATE/row.json. The run is divided into time slices. After `--slice` seconds it saves its state at
the end of the round and exits with 75. The same command then resumes it. After SIGINT or SIGTERM it
also saves its state and exits; a second signal stops the process at once. The command needs torch,
numpy, safetensors and Pillow. From this repository it needs only dfkd/ and benchmarks/.

STATE/loop.pt is the checkpoint, with the image pool. For ResNet-34 -> ResNet-18 with 20 million
passes, its size is 0.4 GB for house, 0.2 to 0.8 GB for most recipes, and 2.5 GB for cmi, whose bank
of descriptors is stored twice.
"""

import argparse
import hashlib
import json
import math
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.cifar10 import distillation, teacher
from benchmarks.cifar10.distillation import PAIRS, Distillation, require_same_run
from benchmarks.cifar10.images import evaluate_accuracy, read_part
from benchmarks.cifar10.page import PASSES, collect
from benchmarks.cifar10.slices import PausedError, ProgressLines, TimeSlice, write_atomically
from dfkd.recipes import RECIPES


def run(options: argparse.Namespace, time_slice: TimeSlice) -> None:
    """Train the teacher, distil the student and write the row.

    Raises:
        PausedError: If the time slice ends before the run; the state is then saved.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    name = PAIRS[options.pair][0]
    file = options.teacher or options.state / "teacher.safetensors"
    progress = ProgressLines()
    if not file.exists():
        teacher.train(
            name,
            file,
            read_part(options.data, "train", device),
            epochs=options.epochs,
            seed=options.seed,
            time_slice=time_slice,
            progress=progress,
        )
    identity = {key: getattr(options, key) for key in ("pair", "recipe", "seed")}
    identity["budget"] = options.passes
    identity["teacher_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    result = options.state / "row.json"
    if result.exists():
        require_same_run(identity, json.loads(result.read_text()), result)
        print(f"already finished: {result}")
        return
    test = read_part(options.data, "test", device)
    trained = teacher.load_trained(name, file, device)
    distilled = Distillation(identity, trained, test, options.state)
    distilled.run(time_slice, progress)
    row = distilled.row(evaluate_accuracy(trained, test), _command(options))
    text = json.dumps(row, indent=2) + "\n"
    write_atomically(result, lambda target: target.write(text.encode()))
    print(json.dumps({key: value for key, value in row.items() if key != "curve"}))


def _command(options: argparse.Namespace) -> str:
    words = ["python", "-m", "benchmarks.cifar10", "DATA", "--state", "STATE"]
    words += ["--teacher", "TEACHER"] if options.teacher else ["--epochs", str(options.epochs)]
    for key in ("pair", "recipe", "passes", "seed"):
        words += [f"--{key}", str(getattr(options, key))]
    return shlex.join(words)


def _parser() -> argparse.ArgumentParser:
    lead, examples, rest = __doc__.split("\n\n", 2)
    parser = argparse.ArgumentParser(
        "python -m benchmarks.cifar10",
        description=lead,
        epilog=f"examples:\n{examples}\n\n{rest}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", nargs="?", type=Path, help="folder with cifar10/ (PNG strips and labels)")
    add("--pair", choices=PAIRS, help="teacher and student")
    add("--recipe", choices=RECIPES, default="house", metavar="NAME", help="a recipe of dfkd")
    add("--passes", type=int, default=PASSES, help="teacher passes (default: %(default)s)")
    add("--slice", type=float, default=math.inf, help="seconds until it saves and exits with 75")
    add("--state", type=Path, help="folder of the run; each run needs its own")
    add("--teacher", type=Path, help="weights shared by several runs; trained if missing")
    add("--epochs", type=int, default=30, help="epochs of the teacher (default: %(default)s)")
    add("--seed", type=int, default=0, help="seed of teacher and run (default: %(default)s)")
    add("--collect", nargs="*", type=Path, metavar="STATE", help="add finished runs to results/")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.collect is not None:
        unfinished = [str(s) for s in options.collect if not (s / "row.json").is_file()]
        if unfinished:
            parser.error(f"no row.json in {', '.join(unfinished)}: the run is not finished")
        collect(options.collect, distillation.EVALUATIONS)
        return 0
    missing = [key for key in ("data", "pair", "state") if getattr(options, key) is None]
    if missing:
        parser.error(f"missing: {', '.join(missing)}")
    with TimeSlice(options.slice) as time_slice:
        try:
            run(options, time_slice)
        except PausedError:
            code = time_slice.exit_code
            print(f"paused (exit code {code}); give the same command again to resume", flush=True)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
