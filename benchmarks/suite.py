"""A table of tasks x seeds x contestants: run what is missing, then write the page.

    python benchmarks/suite.py --home DIR --tasks mujoco --seeds 1 2 3 --parallel 8
    python benchmarks/suite.py --home DIR --tasks mujoco --contestants ppo sb3-ppo --peers PEERS --report FILE
    python benchmarks/suite.py --home DIR --tasks Hopper-v5 --contestants td3 sb3-td3 --steps 300000 --peers PEERS

Every run of ours is an experiment of the product, started by `surreal create` in a SURREAL_HOME below DIR. Its row is
in DIR/rows as soon as it is over. A suite that is cut (Ctrl-C, SIGTERM, --minutes) stops its runs and still writes
the page of what is there. After any cut, kill -9 too, it goes on by the same command: finished runs stay, cut ones
resume from their checkpoints. A run that failed keeps its row; delete the file to try it again.
`NAME=ppo:gamma=0.98,epochs=5` is a contestant with settings, for ablations. One home holds rows of all algorithms and
budgets: the page has a table for each algorithm, group of tasks and budget. Tasks of a suite of environments need an
interpreter that has it: PEERS/sb3 with minatar and PEERS/rs with robosuite for the other libraries.
"""

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from learning.floors import floors
from learning.numbers import count, natural, positive
from learning.report import into, old_page, page
from learning.rows import Row, put, read_rows
from learning.running import run_missing, sentence
from learning.scheduler import Clock, talk
from learning.sections import scored, tables
from learning.table import EVERY, Budget, Contestant, cells
from learning.tasks import GROUPS, tasks_of
from surreal.protocol.errors import SurrealError

INVALID, UNFINISHED = 2, 6


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="folder of rows and experiments")
    groups = ", ".join(GROUPS)
    parser.add_argument(
        "--tasks", nargs="*", default=["mujoco"], metavar="TASK", help=f"ids; {groups}; or none, to report only"
    )
    parser.add_argument("--contestants", nargs="+", default=["ppo"], metavar="NAME")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=count, default=1_000_000)
    parser.add_argument("--copies", type=count, help="environments of one actor: 8, or 1 where it fills replay")
    parser.add_argument("--actors", type=count, default=2)
    parser.add_argument("--episodes", type=count, default=10, help="of one evaluation")
    parser.add_argument("--every", type=positive, default=EVERY, metavar="SECONDS", help="between evaluations of a run")
    parser.add_argument("--parallel", type=count, default=1, help="runs at once")
    parser.add_argument("--minutes", type=positive, help="stop what runs after that long, to go on another time")
    parser.add_argument("--busy", action="store_true", help="the machine does other work too: leave seconds out")
    parser.add_argument("--peers", type=Path, help="folder of one environment per other library")
    parser.add_argument(
        "--reference", help="the contestant that all scores are shares of, by default sb3-ALGORITHM (of impala sb3-ppo)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the page, from every row of the home")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="rows of another home, or a file of them, to report too"
    )
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add all rows reported to this file of rows")
    return parser.parse_args(words)


def main() -> int:
    """Run and report. The exit code is 0, 2 for wrong input, 6 where runs are left."""
    args = arguments()
    clock = Clock(args.minutes)
    clock.stops_at(signal.SIGINT, signal.SIGTERM)
    try:
        check_files(args)
        left = run(args, clock)
        if args.report or args.keep:
            report(args, left)
    except (ValueError, OSError, SurrealError) as error:
        talk.print(f"suite: {sentence(error)}", markup=False)
        return INVALID
    return UNFINISHED if left else 0


def check_files(args: argparse.Namespace) -> None:
    """Raise ValueError, before any run, where what --report, --keep or --rows name can be no such file."""
    named = {"--report": args.report, "--keep": args.keep, "--rows": args.rows}
    options: dict[Path, str] = {}
    for option, file in named.items():
        if file and (other := options.setdefault(file.resolve(), option)) != option:
            raise ValueError(f"{other}, {option}: both are {str(file)!r}. Name two files, or leave one out.")
    if args.rows and not args.rows.exists():
        raise ValueError(f"--rows: {str(args.rows)!r} is not there. Name a folder or file of rows.")
    sources = {folder.resolve() for folder in (args.home / "rows", args.rows) if folder}
    for option in ("--report", "--keep"):
        if named[option]:
            _check_written(option, named[option].resolve(), sources)
    _check_contents(args)


def _check_written(option: str, file: Path, sources: Collection[Path]) -> None:
    """Raise ValueError where `file` cannot be written, or is a row among `sources`."""
    if (file.exists() and not file.is_file()) or not os.access(file.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{option}: {str(file)!r} can be no file: name one in a folder that can be written.")
    if file.suffix == ".json" and file.parent in sources:
        raise ValueError(f"{option}: {str(file)!r} would be among the rows of its folder. Name a file elsewhere.")


def _check_contents(args: argparse.Namespace) -> None:
    """Raise ValueError where files that are there hold something else than a page and rows."""
    for option, look, file in (
        ("--report", old_page, args.report),
        ("--keep", read_rows, args.keep),
        ("--rows", read_rows, args.rows),
    ):
        try:
            if file:
                look(file)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None


def run(args: argparse.Namespace, clock: Clock) -> int:
    """Run every cell without a row until `clock` is over. Return how many are left."""
    budget = Budget(args.steps, args.copies, args.actors, args.episodes, args.every)
    contestants = [Contestant.parse(word) for word in args.contestants]
    wanted = cells(contestants, tasks_of(args.tasks), args.seeds, budget)
    if not wanted:
        return 0  # so that a page can be made in a home where a suite works
    return run_missing(wanted, args.home, clock, peers=args.peers, parallel=args.parallel, busy=args.busy)


def report(args: argparse.Namespace, left: int) -> None:
    """Write the page and the rows it is made of; nothing where there are none yet, and `left` runs to come.

    Raise ValueError where a column would mix two conventions, and for a reference that no row is of.
    """
    rows: dict[tuple[str, str, int, int], Row] = {}
    for source in dict.fromkeys((args.keep, args.rows, args.home / "rows")):
        found = {row.key: row for row in read_rows(source)} if source else {}
        newer = [key for key, row in found.items() if rows.get(key, row) != row]
        if newer:
            talk.print(f"{len(newer)} rows are those of {source}, in place of others that were kept", markup=False)
        rows |= found
    ordered = [rows[key] for key in sorted(rows)]
    if not ordered and left:
        talk.print("no run is over yet, so there is no page", markup=False)
        return
    if not ordered:
        raise ValueError("no row to report, neither in --home nor in --rows. Name --tasks to run some.")
    if args.reference and not left and not scored(ordered, args.reference):
        there = ", ".join(sorted({row.contestant for row in ordered}))
        raise ValueError(f"--reference: no row is of {args.reference!r}. Name one of {there}.")
    if args.keep:
        put(args.keep, "".join(row.line() for row in ordered))
    if args.report:
        low = floors(scored(ordered, args.reference), args.home / "floors.json")
        command = shlex.join(["python", "benchmarks/suite.py", *_shown(sys.argv[1:])])
        into(args.report, page(tables(ordered, low, args.reference), command))


def _shown(words: Sequence[str]) -> list[str]:
    """The command line with folders of this machine as DIR."""
    return [re.sub(r"^(--\w+=)?/.*", r"\1DIR", word) for word in words]


if __name__ == "__main__":
    sys.exit(main())
