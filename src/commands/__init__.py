"""The commands, one file each: its arguments, what it prints, its exit code. The folder is the registry.

A file `schema_version.py` is the command `schema-version`. Its docstring is the help (the first line stands in the
list of all commands), `arguments(parser)` adds its arguments, `run(call)` does it and returns the exit code. A module
may say `NEEDS_PROJECT = False`: it then runs where no project is, with the default settings and no log.

Only the chosen command is imported, so that a run pays for no other; the list of all imports none.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeVar

from src import __version__, console, errors, permissions, stopping, store
from src.errors import BUG_EXIT_CODE, BoathouseError, UsageError, translated
from src.settings import Settings, defaults, load, struck

if TYPE_CHECKING:
    from src.project import Project, Selection
    from src.reads import Reading
    from src.run.runs import Run

DEFAULT = "run"  # the command of `main.py` alone; its failure is the heartbeat, and its steps show on the console
PROJECT_DIR = "PROJECT_DIR"
# Objects made since garbage was looked for last, until it is again. A run with nothing new makes fewer: to look for it
# at every 20,000 took 6 ms of it, and at Python's own 700 while modules load 4 ms more.
_GARBAGE = 50_000
T = TypeVar("T")


class Sequence(Protocol):
    """The blocking sequence of main.py: all of bronze, then all of silver, then all of gold, as steps of a run."""

    def __call__(
        self,
        project: Project,
        run: Run,
        chosen: Selection,
        full_refresh: Collection[str] = (),
        accept_rejects: Collection[str] = (),
        accept_removals: Collection[str] = (),
        pull: bool = False,
    ) -> None: ...


@dataclass(frozen=True)
class Call:
    """The call of a command: the project's settings, its arguments, and the blocking sequence."""

    settings: Settings
    args: argparse.Namespace
    sequence: Sequence


def main(argv: list[str], default_project: Path, sequence: Sequence, program: str = "main.py") -> int:
    """Run the command of a command line; returns its exit code, those of src/errors.py.

    The project's folder is that of --project, else that of the environment's PROJECT_DIR, else `default_project`.
    """
    args = _parse(argv, program)
    command = module(args.command)
    gc.set_threshold(_GARBAGE)
    gc.enable()  # once most is loaded, see `stopping.at_once`
    alone = console.data_alone() if vars(args).get("json") else nullcontext()
    with stopping.heeded(), console.unfailing(), alone:
        return _ended(
            args.command,
            lambda: _settings(command, args.project, default_project, os.environ),
            lambda settings: int(command.run(Call(settings, args, sequence))),
        )


@contextmanager
def read_by_user(call: Call, kind: str, data: Path | None = None) -> Iterator[Reading]:
    """Record what the user of a command reads within a with-block, of the lake at `data` or of the project's own."""
    from src.author import author
    from src.masking.reader import recorded_as
    from src.reads.recording import recorded

    with recorded(call.settings, kind, recorded_as(author()), data) as reading:
        yield reading


def names() -> list[str]:
    """Return the name of every command."""
    files = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(stem.replace("_", "-") for stem in files if not stem.startswith("_"))


def module(name: str) -> ModuleType:
    """Import the module of a command."""
    return import_module(f"{__name__}.{name.replace('-', '_')}")


def help_line(name: str) -> str:
    """Return the first line of a command's docstring, which is that of its file: importing all takes long."""
    with (Path(__file__).parent / f"{name.replace('-', '_')}.py").open(encoding="utf-8") as file:
        return file.readline().strip().strip('"')


def day(text: str) -> date:
    """Return the day that an argument names; the `type` of every argument that is one."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write YYYY-MM-DD") from None


def month(text: str) -> date:
    """Return the first day of the month that an argument names."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no month: write YYYY-MM") from None


def window_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which tables and which business days a run is about."""
    parser.add_argument("--domain", help="one domain only, or one mart with what it needs")
    parser.add_argument(
        "--select",
        action="extend",
        type=lambda names: names.replace(",", " ").split() or [""],
        default=[],
        metavar="NAME[,NAME]",
        help="tables, marts, domains, patterns: name; +name: what it needs too; name+: what hangs on it too",
    )
    parser.add_argument("--run-date", type=day, help="the last business day the run answers for (default: yesterday)")
    parser.add_argument("--reprocess-days", type=int, help="how many days up to then it answers for (default: 7)")


def note_before(project: Project, args: argparse.Namespace) -> None:
    """Print the notes of the contracts, and the silver tables whose new files wait as --select leaves their feeds out.

    Raises:
        UsageError: nothing has a name of --domain or --select.
    """
    from src import selection

    for note in project.contracts.notes:
        console.note(note)
    if project.settings.branch and (seeds := _new_seeds(project)):
        console.note(
            f"nothing lands on a branch, and so not what is new of {', '.join(seeds)}: main's next run lands it"
        )
    for table, feed in selection.not_taken(selection.chosen(project, args.domain, args.select)).items():
        console.note(f"new files of {feed} wait, as it is not selected; +{table} takes them too")


def _new_seeds(project: Project) -> list[str]:
    """Return the seeds that say something which main's landing zone does not have."""
    from src.landing import seeds  # on a branch, and nowhere else: importing takes time

    return [seed.shown for seed in project.contracts.seeds if seeds.is_new(project.landed, seed)]


def json_argument(parser: argparse.ArgumentParser) -> None:
    """Add --json, for a command that shows something: it hands what it found to `show`."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else there")


def show(call: Call, found: T, print_text: Callable[[T], None]) -> None:
    """Show what a command found: as one JSON document with --json, else as `print_text` prints it."""
    if call.args.json:
        console.print_json(found)
    else:
        print_text(found)


# -- one parser


def _parse(argv: list[str], program: str) -> argparse.Namespace:
    """Return the arguments, `command` and `project` among them; argparse ends the process where they are wrong."""
    argv = list(argv)
    name = _command_in(argv)
    is_list = name is None and bool({"-h", "--help", "--version"} & set(argv))
    if name is None and not is_list:
        name = DEFAULT
        argv.append(DEFAULT)
    known = names()
    parser = argparse.ArgumentParser(
        prog=program,
        description="Boathouse: a lakehouse that fits in a folder.",
        epilog="exit codes: " + ", ".join(f"{code} {name}" for code, name in errors.exit_codes().items()),
    )
    parser.add_argument("--version", action="version", version=f"Boathouse {__version__}")
    _add_project(parser, None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for each in [name] if name in known else known:
        if is_list:
            commands.add_parser(each, help=help_line(each))
            continue
        command = module(each)
        summary, description = help_line(each), (command.__doc__ or "").strip()
        form = argparse.RawDescriptionHelpFormatter
        added = commands.add_parser(each, help=summary, description=description, formatter_class=form)
        _add_project(added, argparse.SUPPRESS)  # what stands before the command is not overwritten
        command.arguments(added)
    return parser.parse_args(argv)


def _add_project(parser: argparse.ArgumentParser, default: object) -> None:
    text = f"the project's folder (default: {PROJECT_DIR} of the environment, else this one)"
    parser.add_argument("--project", metavar="DIR", type=Path, default=default, help=text)


def _command_in(argv: list[str]) -> str | None:
    """Return the first word that is neither an option nor the value of --project."""
    args = iter(argv)
    for word in args:
        if word == "--project":
            next(args, None)
        elif not word.startswith("-"):
            return word
    return None


# -- one door


def _settings(command: ModuleType, named: Path | None, default: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of the project.

    Raises:
        UsageError: its folder is not there, its settings are wrong, or a branch is none or not for this command.
    """
    root = named or (Path(environ[PROJECT_DIR]) if environ.get(PROJECT_DIR) else default)
    root = root.expanduser().absolute()
    if not getattr(command, "NEEDS_PROJECT", True):
        return defaults(root)
    if not root.is_dir():
        where = "--project" if named else PROJECT_DIR
        raise UsageError("no folder of that name", where=f"{where} {root}", fix="name the folder of a project")
    if not (root / "src").is_dir():
        fix = "type it in a project's folder or name one with --project; `init DIR` makes a new project"
        raise UsageError("no project: the folder has no src/ with contracts", where=root, fix=fix)
    settings = load(root, environ)
    if settings.branch:
        _enter_branch(command.__name__.rpartition(".")[2].replace("_", "-"), settings)
    return settings


def _enter_branch(name: str, settings: Settings) -> None:
    """Refuse what works on main alone, and a branch that is not there, before anything of it is made.

    Raises:
        UsageError: naming it.
    """
    from src.branches import find_branch  # on a branch, and nowhere else: importing takes time
    from src.branches.allowed import REFUSED

    if reason := REFUSED.get(name):
        fix = f"type it without BRANCH={settings.branch}, or with BRANCH=main where .env sets it"
        raise UsageError(f"{name} works on main alone: {reason}", where=f"BRANCH={settings.branch}", fix=fix)
    find_branch(settings.main_dir, str(settings.branch))


def _ended(name: str, read: Callable[[], Settings], act: Callable[[Settings], int]) -> int:
    """Read the settings, start the log, act; a failure becomes one message and an exit code."""
    from src.run import logs

    secrets: tuple[str, ...] = ()
    beats = name == DEFAULT
    complain = console.failed if beats else console.complain
    try:
        settings = read()
        secrets = settings.secrets()
        level = "WARNING" if sys.stdout.isatty() or not beats else settings.log_level
        if getattr(module(name), "NEEDS_PROJECT", True):
            permissions.apply(settings)
            store.use(settings.aws)
            logs.start(
                settings.log_dir,
                level=settings.log_level,
                secrets=secrets,
                console_level=level,
                command=name,
                form=settings.log_format,
            )
            logs.warn(settings.notices)
        return act(settings)
    except (Exception, KeyboardInterrupt) as error:
        if code := stopping.exit_code():  # whatever a library made of it on the way
            complain(stopping.message())
            return code
        ours = translated(error) if isinstance(error, Exception) else error
        if isinstance(ours, BoathouseError):
            complain(struck(str(ours), secrets))
            return ours.exit_code
        logs.bug(error)  # has a traceback in the log and one line on the console
        console.failed(struck(console.error_text(error), secrets))
        return BUG_EXIT_CODE
