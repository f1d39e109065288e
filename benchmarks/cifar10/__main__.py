r"""Data-free distillation on CIFAR-10, sized for a data-centre GPU: any recipe on a known pair.

    python -m benchmarks.cifar10 DATA --pair resnet34-resnet18 --recipe house \
        --passes 20000000 --slice 540 --state STATE --seed 0
    python -m benchmarks.cifar10 --collect STATE...

Trains the teacher (or loads the one in its place), distils, and leaves STATE/row.json. A run goes
in slices: after `--slice` seconds it saves at the next round and exits with 75; the same command
goes on. SIGINT and SIGTERM save likewise, and a second one stops at once. Needs torch, numpy,
safetensors and Pillow beside dfkd/, and no other part of this repository.

STATE/loop.pt holds the loop with its healthy snapshot and its pool of images. At 20 million passes
on ResNet-34 -> ResNet-18 that is 0.4 GB for house, 0.2 to 0.8 GB for most recipes, and 2.5 GB for
cmi, whose bank of descriptors is there twice.
"""

import argparse
import hashlib
import json
import math
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.cifar10 import teacher as cifar10_teacher
from benchmarks.cifar10.run import EVALUATIONS, PAIRS, Distillation, refuse_another
from benchmarks.cifar10.slices import PausedError, Progress, Slice, write_whole
from benchmarks.cifar10.table import PASSES, collect
from dfkd.recipes import RECIPES


def work(options: argparse.Namespace, span: Slice) -> None:
    """Teacher, distillation and row, as far as the slice goes.

    Raises:
        PausedError: When the slice is over first.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    name = PAIRS[options.pair][0]
    file, progress = options.teacher or options.state / "teacher.safetensors", Progress()
    if not file.exists():
        train = cifar10_teacher.read(options.data, "train", device)
        how = {"epochs": options.epochs, "seed": options.seed}
        cifar10_teacher.train(name, file, train, **how, span=span, progress=progress)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    asked = {key: getattr(options, key) for key in ("pair", "recipe", "seed")}
    asked |= {"budget": options.passes, "teacher_sha256": digest}
    result = options.state / "row.json"
    if result.exists():
        refuse_another(asked, json.loads(result.read_text()), result)
        print(f"finished already: {result}")
        return
    test = cifar10_teacher.read(options.data, "test", device)
    teacher = cifar10_teacher.load(name, file, device)
    run = Distillation(asked, teacher, test, options.state)
    run.run(span, progress)
    row = run.row(cifar10_teacher.accuracy(teacher, test), _command(options))
    text = json.dumps(row, indent=2) + "\n"
    write_whole(result, lambda target: target.write(text.encode()))
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
    add("data", nargs="?", type=Path, help="holds cifar10/ with PNG strips and labels")
    add("--pair", choices=PAIRS, help="teacher and student")
    add("--recipe", choices=RECIPES, default="house", metavar="NAME", help="any of dfkd.recipes")
    add("--passes", type=int, default=PASSES, help="teacher passes (default: %(default)s)")
    add("--slice", type=float, default=math.inf, help="seconds before it saves and exits with 75")
    add("--state", type=Path, help="the run's folder: one run, one folder")
    add("--teacher", type=Path, help="its file, to share one; trained when it is not there yet")
    add("--epochs", type=int, default=30, help="of the teacher (default: %(default)s)")
    add("--seed", type=int, default=0, help="of teacher and run (default: %(default)s)")
    add("--collect", nargs="*", type=Path, metavar="STATE", help="put finished runs into results/")
    return parser


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(words)
    if options.collect is not None:
        unfinished = [str(s) for s in options.collect if not (s / "row.json").is_file()]
        if unfinished:
            parser.error(f"no row.json, so no finished run, in {', '.join(unfinished)}")
        collect(options.collect, EVALUATIONS)
        return 0
    missing = [key for key in ("data", "pair", "state") if getattr(options, key) is None]
    if missing:
        parser.error(f"missing: {', '.join(missing)}")
    with Slice(options.slice) as span:
        try:
            work(options, span)
        except PausedError:
            print(f"paused; the same command goes on (exit code {span.exit_code})", flush=True)
            return span.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
