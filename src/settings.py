"""Every setting once: its default, one sentence, how to write it. The environment name is the field's name in capitals.

A setting comes from the environment, else from `.env`, else from its default. What is wrong in them is
found in one pass and refused before anything runs; an unknown name in `.env` is an error, not a comment. A name
that an earlier release had is a warning: no upgrade stops at a setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote, quote_plus

from src import store
from src.errors import UsageError, from_os_error, nearest

if TYPE_CHECKING:
    from dotenv.parser import Binding

# Names that start so are rclone's own settings of remotes (credentials among them) and are handed on to it.
REMOTE_PREFIX = "RCLONE_CONFIG_"
# Names that start so are the credentials of sources: SOURCE_<NAME>_<KEY>, <NAME> being the source's in its contract.
SOURCE_PREFIX = "SOURCE_"
# And those that end so are no credentials: they say since which day the one of the name before is what it is.
SINCE = "_SINCE"
# Names that start so are budgets: BUDGET_<DOMAIN>, what a domain or mart may cost in a month.
BUDGET_PREFIX = "BUDGET_"
_BUDGET = "an amount above 0 with up to 6 decimals, for example 25"
# Parts of a remote that say what kind of store it is; hiding "s3" or "true" would only blot the log.
_NOT_SECRET = ("_TYPE", "_PROVIDER", "_ENV_AUTH")
_SHORTEST_SECRET = 4
_NOTHING = "none"  # the only class of MASK: nothing is masked

ENV_FILE = ".env"
MAIN = "main"  # the lake itself, where the name of a branch can stand
_BRANCHES = ".branches"  # a folder of the lake: on one file system with it, whatever is mounted where
_NAME_OF_BRANCH = "a name of letters, digits, _, . and -, for example new-margin; main is no branch"
_BRANCH_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
ENV_EXAMPLE = ".env.example"


@dataclass(frozen=True)
class Secret:
    """A text that nobody sees who prints the settings."""

    text: str = field(repr=False)


def _setting(
    default: object, sentence: str, *, write: str, read: Callable[[str], object], template: str | None = None
) -> Any:
    """Return one entry of the registry.

    `write` says what a valid value looks like, and `read` takes it: a ValueError says that it is none. `template`,
    where given, is the value that `.env.example` sets; the others appear there as comments that show the default.
    """
    return field(default=default, metadata={"sentence": sentence, "write": write, "read": read, "template": template})


# -- what values are; every command waits for it, which is why no library is asked


def _folder(text: str) -> Path:
    """Return a folder as it is written."""
    if not all(character.isprintable() for character in text):
        raise ValueError("unprintable character")
    if set("%\\") & set(text):
        raise ValueError("% and backslash mean something else to the Delta library")
    return Path(text)


def _location(text: str) -> Path:
    """Return a location: a folder as it is written, or a bucket of an object store."""
    if "://" not in text:
        return _folder(text)
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_.=-]+)*/?", text):
        raise ValueError("no bucket and prefix that every library reads alike")
    return store.location(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    """Return what reads one of these choices."""
    return partial(_text, "|".join(choices))


def _text(pattern: str, text: str) -> str:
    """Return a text that a pattern fits as a whole."""
    if not re.fullmatch(pattern, text, re.DOTALL):
        raise ValueError(f"not {pattern}")
    return text


def _memory(text: str) -> str:
    """Return an amount of memory as the engine reads it, or auto."""
    return _text(r"(auto|[1-9][0-9]{0,6}(\.[0-9]+)?(MB|GB|MiB|GiB))", text)


def _truth(text: str) -> bool:
    """Return a truth: true or false, or another of the words for them."""
    word = text.lower()
    if word not in _YES + _NO:
        raise ValueError("neither true nor false")
    return word in _YES


def _whole(least: int, most: int, text: str) -> int:
    """Return a whole number within bounds."""
    if not re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*(\.0+)?", text):
        raise ValueError("no whole number")
    number = int(text.partition(".")[0])
    if not least <= number <= most:
        raise ValueError("out of bounds")
    return number


def _seconds(least: int, most: int, text: str) -> float:
    """Return a number within bounds."""
    number = float(_without_underscores(text))
    if not text.isascii() or not least <= number <= most:  # nor is NaN
        raise ValueError("no number, or out of bounds")
    return number


def _without_underscores(text: str) -> str:
    """Return a number without the underscores between its digits."""
    return text if text.startswith("_") or text.endswith("_") or "__" in text else text.replace("_", "")


def _amount(text: str) -> Decimal:
    """Return an amount of 0 or more, below 1,000,000,000,000, with up to 6 decimals."""
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("no number") from error
    if not amount.is_finite() or not 0 <= amount < 10**12:
        raise ValueError("no amount")
    digits = "".join(map(str, amount.as_tuple().digits))
    decimals = -int(amount.as_tuple().exponent) - (len(digits) - len(digits.rstrip("0")))
    if amount and decimals > _DECIMALS:
        raise ValueError("more decimals")
    return amount


def _budget(text: str) -> Decimal:
    """Return an amount above 0."""
    amount = _amount(text)
    if amount == 0:
        raise ValueError("0")
    return amount


def _branch(text: str) -> str | None:
    """Return the name of a branch of the lake; None for main, which is the lake itself."""
    return None if text == MAIN else _text(_BRANCH_NAME, text)


def _zone(name: str) -> str:
    """Return the name of a time zone that this machine knows."""
    if name == "UTC":  # known where the machine has no list of zones at all
        return name
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name).key
    except (KeyError, OSError, ValueError) as error:  # not on the list, a folder of it, or no name at all
        raise ValueError("no time zone that this machine knows") from error


_YES, _NO = ("1", "on", "t", "true", "y", "yes"), ("0", "off", "f", "false", "n", "no")
_DECIMALS = 6  # of an amount


class Tombstone(NamedTuple):
    """A setting that an earlier release had, and its successor."""

    successor: str | None  # a setting, whose value it gives where that is not set itself
    since: str  # the release without it
    sentence: str  # why, and what to do


@dataclass(frozen=True)
class Settings:
    """Every setting of a project; frozen once read."""

    tombstones: ClassVar[Mapping[str, Tombstone]] = {}  # by their names; 0.2.0 has all that 0.1.0 had

    root: Path = field(default_factory=Path.cwd)  # the project's folder, whose settings these are
    data_dir: Path = _setting(
        Path("data"),
        "The lake: landing zone, tables and run records; a folder, or a bucket (docs/object-storage.md).",
        write="a folder (a relative one is meant from the project's folder) or s3://bucket/prefix",
        read=_location,
    )
    branch: str | None = _setting(
        None,
        "The branch of the lake that commands work on, without landing zone, backup, alerts and schedule"
        " (docs/branches.md); without one it is the lake itself, main.",
        write=_NAME_OF_BRANCH,
        read=_branch,
    )
    log_dir: Path = _setting(
        Path("logs"),
        "Where app.log, cron.log and page.log are kept, one file a day (UTC) for 14 days.",
        write="a folder; a relative one is meant from the project's folder",
        read=_folder,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting(
        "INFO",
        "The least important message that the console and the log show.",
        write="DEBUG, INFO, WARNING or ERROR",
        read=_one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    )
    log_format: Literal["text", "json"] = _setting(
        "text",
        "How app.log is written: lines for people, or one JSON object a line for a log collector.",
        write="text or json",
        read=_one_of("text", "json"),
    )
    sample_feed: bool = _setting(
        False,
        "Whether the sample company's files are landed when the landing zone is empty; false once you have your own.",
        write="true or false",
        template="true",
        read=_truth,
    )
    landing_rewrite: bool = _setting(
        False,
        "Whether `make forget` takes a person's lines out of landed files; false where these are not yours to change.",
        write="true or false",
        read=_truth,
    )
    sample_days: int = _setting(
        30,
        "How many days of sample files are landed.",
        write="a whole number from 1 to 3650",
        read=partial(_whole, 1, 3650),
    )
    sample_seed: int = _setting(
        7,
        "The seed of the sample files: the same seed and day give the same bytes.",
        write="a whole number from 0 to 2147483647",
        read=partial(_whole, 0, 2**31 - 1),
    )
    memory_limit: str = _setting(
        "auto",
        "How much memory the engine may take before it spills to disk; a run takes up to 400 MB beside it."
        " auto is a quarter of the machine's memory, at least 600 MB and at most 4 GB.",
        write="auto, or a number and a unit, MB, GB, MiB or GiB, for example 2GB",
        read=_memory,
    )
    threads: int = _setting(
        0,
        "How many threads the engine may use, and how many small steps of one layer, up to 4, go side by side;"
        " 0 means one per core, 1 one step after the other.",
        write="a whole number from 0 to 1024",
        read=partial(_whole, 0, 1024),
    )
    engine: str = _setting(
        "local",
        "Who computes large loads: local, this process; workers, processes of this machine; spark, an Apache Spark"
        " cluster (docs/scale.md). The answer is the same.",
        write="local, workers or spark",
        read=_one_of("local", "workers", "spark"),
    )
    workers: int = _setting(
        0,
        "How many processes ENGINE=workers has; 0 means one per core.",
        write="a whole number from 0 to 1024",
        read=partial(_whole, 0, 1024),
    )
    workers_from: str = _setting(
        "100MB",
        "From how much Parquet on that a load reads it is dealt out to workers; smaller ones are done faster without.",
        write="a number and a unit, MB or GB, for example 1GB; 0MB for every load",
        read=partial(_text, r"([0-9]{1,7}(\.[0-9]+)?(MB|GB))"),
    )
    task_memory: str = _setting(
        "auto",
        "How much memory the engine of each task of a worker may take. auto is MEMORY_LIMIT's share of one worker; on a"
        " cluster a core's part of a quarter of the memory of the machine that does the task, 300 MB to 4 GB.",
        write="auto, or a number and a unit, MB, GB, MiB or GiB, for example 2GB",
        read=_memory,
    )
    staging_dir: Path | None = _setting(
        None,
        "Where workers leave rows for one another, gone after a load, in a folder for each lake; all of them see it"
        " under this path. Without one it is .staging in DATA_DIR.",
        write="a folder (a relative one is meant from the project's folder) or s3://bucket/prefix",
        read=_location,
    )
    spark_master: str | None = _setting(
        None,
        "The cluster that ENGINE=spark works on.",
        write="spark://host:port, sc://host:port, yarn, k8s://https://host:port or local[n]",
        read=partial(_text, r"(spark|sc|k8s)://.+|yarn|local(\[([0-9]+|\*)(,[0-9]+)?\])?"),
    )
    profile: bool = _setting(
        False,
        "Whether a command ends with what its statements took, wall and processor time; its steps then run one by one.",
        write="true or false",
        read=_truth,
    )
    settle_seconds: float = _setting(
        2,
        "How long a fresh file must keep its size before it is taken, so that none is read half-written.",
        write="a number of seconds from 0 to 3600",
        read=partial(_seconds, 0, 3600),
    )
    backup_remote: str = _setting(
        "backups",
        "Where backups go: a folder, or one of rclone's remotes (see RCLONE_CONFIG_ below).",
        write="a folder (a relative one is meant from the project's folder) or remote:path, for example offsite:lake",
        read=partial(_text, ".+"),
    )
    backup_keep_daily: int = _setting(
        7,
        "How many days keep their last backup.",
        write="a whole number from 1 to 3650",
        read=partial(_whole, 1, 3650),
    )
    backup_keep_weekly: int = _setting(
        4,
        "How many weeks keep their last backup.",
        write="a whole number from 0 to 520",
        read=partial(_whole, 0, 520),
    )
    backup_keep_monthly: int = _setting(
        12,
        "How many months keep their last backup.",
        write="a whole number from 0 to 120",
        read=partial(_whole, 0, 120),
    )
    timezone: str = _setting(
        "UTC",
        "The zone whose 18:00 ends the working day, contracts and models being committed and pushed by then;"
        " costs are counted by its days and months.",
        write="a name of the IANA list, for example Europe/Oslo",
        read=_zone,
    )
    cost_per_cpu_hour: Decimal = _setting(
        Decimal(0),
        "What an hour of one processor costs; a run keeps the price of its time. With 0 costs have no amounts.",
        write="an amount of 0 or more with up to 6 decimals, for example 0.04",
        read=_amount,
    )
    cost_per_gb_month: Decimal = _setting(
        Decimal(0),
        "What a month of a gigabyte (1,000,000,000 bytes) costs, of tables, their older versions and backups.",
        write="an amount of 0 or more with up to 6 decimals, for example 0.02",
        read=_amount,
    )
    cost_currency: str = _setting(
        "EUR",
        "The currency of these prices and of budgets (see BUDGET_ below).",
        write="a code of three capital letters, for example EUR",
        read=partial(_text, r"[A-Z]{3}"),
    )
    page_port: int = _setting(
        8765,
        "The port of the page in the browser (`make page`).",
        write="a whole number from 0 to 65535; 0 takes one that is free",
        read=partial(_whole, 0, 65535),
    )
    page_address: str | None = _setting(
        None,
        "The address of this machine that the page listens at, 127.x.y.z; without one it is made from the project's"
        " folder, so that no other server of this machine is sent the page's cookie.",
        write="an address of this machine alone, for example 127.0.0.1",
        read=partial(_text, r"127(\.[0-9]{1,3}){3}"),
    )
    page_readonly: bool = _setting(
        False,
        "Whether the page only shows: nobody can run, acknowledge or replay anything from it.",
        write="true or false",
        read=_truth,
    )
    page_host: str | None = _setting(
        None,
        "The name of a proxy before a read-only page, as browsers write it: docs/page.md has how that is safe.",
        write="host or host:port, for example lake.example.com",
        read=partial(_text, r"[a-z0-9.-]+(:[0-9]{1,5})?"),
    )
    page_key: Secret | None = _setting(
        None,
        "The key of the page, for the proxy before it; without one, each start makes and prints a new one.",
        write="20 or more letters, digits and hyphens, for example of `openssl rand -hex 24`",
        read=Secret,
    )
    mask: str = _setting(
        "pii",
        "The classifications of columns whose values are masked in what people read: docs/security.md has how.",
        write="classifications with blanks between them, for example pii confidential; none masks nothing",
        read=partial(_text, r"[A-Za-z0-9_.-]+( +[A-Za-z0-9_.-]+)*"),
    )
    unmasked_users: str | None = _setting(
        None,
        "The users of this machine who read columns of the classifications in MASK as they are.",
        write="names of users of the system with blanks between them, for example ada grace",
        read=partial(_text, r"[^\s:/]+( +[^\s:/]+)*"),
    )
    forget_past: bool = _setting(
        False,
        "Whether the weekly job forgets rows that are past the `retention` of their contract (docs/forget.md).",
        write="true or false",
        read=_truth,
    )
    forget_key: Secret | None = _setting(
        None,
        "The key of the hashes by which forgotten people are known again; `main.py forget` makes it and writes it.",
        write="20 or more letters and digits; a lost key is told in docs/forget.md",
        read=Secret,
    )
    umask: str = _setting(
        "027",
        "Who may read what commands write: 027 gives the owner all, the group reading, others nothing;"
        " 007 lets the group write too.",
        write="the umask of the shell in three digits of which the first is 0, for example 027",
        read=partial(_text, r"0[0-7]{2}"),
    )
    alert_urls: Secret | None = _setting(
        None,
        "Who is told of incidents: apprise URLs (Slack, e-mail, webhooks, ...), with blanks between them.",
        write="apprise URLs with blanks between them, for example mailto://user:password@example.com",
        read=Secret,
    )
    openlineage_url: str | None = _setting(
        None,
        "The server of OpenLineage (Marquez, DataHub, ...) that is told what each run read, wrote and made columns of.",
        write="a URL that begins with http:// or https://, for example http://localhost:5000",
        read=partial(_text, r"https?://[^\s@]+"),
    )
    openlineage_api_key: Secret | None = _setting(
        None,
        "The key that this server asks for, sent as a bearer token.",
        write="the key as the server gave it",
        read=Secret,
    )
    openlineage_namespace: str = _setting(
        "boathouse",
        "The namespace of this project's jobs at that server.",
        write="a name without blanks, for example boathouse",
        read=partial(_text, r"\S+"),
    )
    notices: tuple[str, ...] = field(default=(), repr=False)  # of settings that were renamed or removed
    remotes: Mapping[str, str] = field(default_factory=dict, repr=False)  # RCLONE_CONFIG_*
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)  # SOURCE_*
    aws: Mapping[str, str] = field(default_factory=dict, repr=False)  # AWS_*
    budgets: Mapping[str, Decimal] = field(  # BUDGET_*, by the setting's name
        default_factory=dict, metadata={"write": _BUDGET, "read": _budget}
    )

    @property
    def main_dir(self) -> Path:
        """Return the lake itself, whose branch `data_dir` may be."""
        return self.data_dir.parents[1] if self.branch else self.data_dir

    @property
    def source(self) -> Path:
        """Return where the project's contracts and models are."""
        return self.root / "src"

    @property
    def masked_classes(self) -> frozenset[str]:
        """Return the classifications, in lower case, whose columns are masked in what people read."""
        named = frozenset(self.mask.lower().split())
        return frozenset() if named == {_NOTHING} else named

    def since(self) -> dict[str, date]:
        """Return the day since when a credential is what it is, by its name, of those that say so."""
        dated = (name for name in self.credentials if name.endswith(SINCE))
        return {name.removesuffix(SINCE): date.fromisoformat(self.credentials[name]) for name in dated}

    def secrets(self) -> tuple[str, ...]:
        """Return values that must never appear in a log, the longest first so that none is hidden in part only."""
        declared = [part for value in vars(self).values() if isinstance(value, Secret) for part in _parts(value)]
        remote = [value for name, value in self.remotes.items() if not name.endswith(_NOT_SECRET)]
        own = [value for name, value in self.credentials.items() if not name.endswith(SINCE)]
        own += [value for name, value in self.aws.items() if name in store.SECRET]
        found = {value for value in [*declared, *remote, *own] if len(value) >= _SHORTEST_SECRET}
        return tuple(sorted(found, key=lambda value: (-len(value), value)))


def struck(text: str, secrets: Sequence[str]) -> str:
    """Return the text without any of the secrets, also as Python, JSON and URLs quote them."""
    for secret in secrets:
        quoted = (quote(secret), quote(secret, safe=""), quote_plus(secret))
        for form in (repr(secret)[1:-1], json.dumps(secret)[1:-1], *quoted, secret):
            text = text.replace(form, "***")
    return text


def _parts(secret: Secret) -> list[str]:
    """Return a secret and, where it is a list with blanks between, each of its members."""
    return [secret.text, *secret.text.split()]


def load(root: Path, environ: Mapping[str, str], model: type[Settings] = Settings) -> Settings:
    """Read the settings of the project in `root`; `model` may declare more of them.

    Raises:
        UsageError: every unknown name, malformed line and malformed value, all at once.
        MachineError: `.env` cannot be read.
    """
    known = _registry(model)
    path = root / ENV_FILE
    errors: list[UsageError] = []
    written = _read(path, known, model.tombstones, errors)
    chosen = {name: (value, f"{path}, line {line}") for name, (value, line) in written.items()}
    understood = {*known, *model.tombstones}
    chosen |= {name: (value, "the environment") for name, value in environ.items() if _is_setting(name, understood)}
    notices = _take_over(chosen, model.tombstones)
    settings = _validate(model, root, chosen, notices, errors)
    if settings is None or errors:
        raise _together(errors)
    return _on_branch(settings) if settings.branch else settings


def checked_branch(name: str) -> str:
    """Return the name of a branch as it is written.

    Raises:
        UsageError: it is none that a folder, a shell and BRANCH take as it is.
    """
    try:
        found = _branch(name)
    except ValueError:
        found = None
    if found is None:
        raise UsageError(f"no name of a branch: {name!r}", fix=f"write {_NAME_OF_BRANCH}")
    return found


def branches_folder(data: Path) -> Path:
    """Return the folder of the branches of the lake at `data`."""
    return data / _BRANCHES


def branch_folder(data: Path, name: str) -> Path:
    """Return the folder of a branch of the lake at `data`."""
    return branches_folder(data) / name


def _on_branch(settings: Settings) -> Settings:
    """Return the settings of a branch: a lake and logs of its own; nothing of it leaves it, whatever they said."""
    folder = branch_folder(settings.data_dir, str(settings.branch))
    return replace(
        settings, data_dir=folder, log_dir=folder / "logs", sample_feed=False, alert_urls=None, openlineage_url=None
    )


def defaults(root: Path) -> Settings:
    """Return the settings of a project in `root` that sets none, whatever the environment and `.env` say."""
    return _made(Settings, root.absolute(), {})


def env_template(*, sample_feed: bool = True) -> str:
    """Return the text of `.env.example`: every setting with its sentence; only what differs from a default is set.

    `sample_feed`: the project is the sample company's, whose files are landed for a newcomer.
    """
    entries = (_template_entry(name, field, sample_feed) for name, field in _registry(Settings).items())
    return "\n".join([_TEMPLATE_HEAD, *entries, _TEMPLATE_TAIL])


def settings_table() -> str:
    """Return the settings as the markdown table of the README."""
    rows = [
        f"| `{name}` | `{_written(field.default)}` | {field.metadata['sentence']} Write {field.metadata['write']}. |"
        for name, field in _registry(Settings).items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])


_TEMPLATE_HEAD = f"""\
# Settings of Boathouse. Copied to {ENV_FILE} by `make setup`, and never overwritten there; {ENV_FILE} stays out of git.
# Lines that are commented out show the defaults. A variable of the environment wins over this file.
"""

_TEMPLATE_TAIL = f"""\
# Remote stores for backups, in rclone's own words: every name that starts with {REMOTE_PREFIX} is handed on to it.
# {REMOTE_PREFIX}OFFSITE_TYPE=s3
# {REMOTE_PREFIX}OFFSITE_SECRET_ACCESS_KEY=...

# The object store where DATA_DIR is s3://bucket/prefix, in the words of every library: docs/object-storage.md.
# {store.PREFIX}ACCESS_KEY_ID=...
# {store.PREFIX}SECRET_ACCESS_KEY=...
# {store.PREFIX}REGION=eu-west-1
# {store.PREFIX}ENDPOINT_URL=https://s3.example.com

# Credentials of the sources that contracts name: {SOURCE_PREFIX}<NAME>_<KEY>; `make sources` says which are asked for.
# {SOURCE_PREFIX}SHOP_PASSWORD=...
# The day it was made, with {SINCE} at the end of its name, lets the weekly security review tell how old it is.
# {SOURCE_PREFIX}SHOP_PASSWORD{SINCE}=2026-01-31
"""


def _registry(model: type[Settings]) -> dict[str, Field[Any]]:
    """Return the settings a person writes, by environment name."""
    ours = {"root", "remotes", "credentials", "aws", "budgets", "notices"}
    return {one.name.upper(): one for one in fields(model) if one.name not in ours}


def _written(value: object) -> str:
    """Return a default as a person writes it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _template_entry(name: str, field: Field[Any], sample_feed: bool) -> str:
    value = field.metadata["template"] if sample_feed else None
    line = f"# {name}={_written(field.default)}" if value is None else f"{name}={value}"
    return f"# {field.metadata['sentence']}\n# Write {field.metadata['write']}.\n{line}\n"


def _is_setting(name: str, known: Container[str]) -> bool:
    return name in known or name.startswith((REMOTE_PREFIX, SOURCE_PREFIX, BUDGET_PREFIX, store.PREFIX))


def _take_over(chosen: dict[str, tuple[str, str]], tombstones: Mapping[str, Tombstone]) -> list[str]:
    """Give the values of earlier names to their successors that are not set; return what to tell of each.

    The value itself is not told: it may be a secret.
    """
    notices = []
    for name, tombstone in tombstones.items():
        if name not in chosen:
            continue
        value, where = chosen.pop(name)
        successor = tombstone.successor
        became = f"is {successor} since {tombstone.since}" if successor else f"is no setting since {tombstone.since}"
        notices.append(f"{name} {became}: {tombstone.sentence} ({where})")
        if successor:
            chosen.setdefault(successor, (value, f"{where}, as {name}"))
    return notices


def _read(
    path: Path, known: Collection[str], tombstones: Container[str], errors: list[UsageError]
) -> dict[str, tuple[str, int]]:
    """Return the values that `.env` gives, each with its line number; add what is wrong to `errors`."""
    values: dict[str, tuple[str, int]] = {}
    for line, binding in _bindings(path):
        where = f"{path}, line {line}"
        if binding.error or binding.key is None or binding.value is None:
            # the line itself is not shown: it may hold a secret
            errors.append(UsageError("not NAME=value", where=where, fix="write NAME=value, or # before a comment"))
        elif not _is_setting(binding.key, known) and binding.key not in tombstones:
            errors.append(_unknown(binding.key, known, where))
        elif binding.key in values:
            first = values[binding.key][1]
            errors.append(UsageError(f"{binding.key} again, set in line {first}", where=where, fix="keep one of them"))
        else:
            values[binding.key] = (binding.value, line)
    return values


def _bindings(path: Path) -> Iterator[tuple[int, Binding]]:
    """Yield the lines of `.env` that set something, with their numbers; none where there is no file."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            from dotenv.parser import parse_stream  # where there is a file, and nowhere else: importing takes time

            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return
    except UnicodeDecodeError as error:
        raise UsageError("not text in UTF-8", where=path, fix="save the file as UTF-8") from error
    except OSError as error:
        raise from_os_error(error, path) from error
    for binding in bindings:
        text = binding.original.string
        blank_lines_before = text[: len(text) - len(text.lstrip())].count("\n")
        if binding.error or binding.key is not None:
            yield binding.original.line + blank_lines_before, binding


def _unknown(name: str, known: Collection[str], where: str) -> UsageError:
    near = nearest(name, known)
    hint = f"write {near}" if near else "remove the line"
    names = ", ".join(known)
    prefixes = f"{REMOTE_PREFIX}..., {SOURCE_PREFIX}..., {store.PREFIX}... and {BUDGET_PREFIX}..."
    fix = f"{hint}; known are {names}, {prefixes}"
    return UsageError(f"unknown setting {name}", where=where, fix=fix)


def _validate(
    model: type[Settings],
    root: Path,
    chosen: Mapping[str, tuple[str, str]],
    notices: Sequence[str],
    errors: list[UsageError],
) -> Settings | None:
    """Return the settings; None, with the reasons added to `errors`, where a value is not valid."""
    remotes = {name: value for name, (value, _) in chosen.items() if name.startswith(REMOTE_PREFIX)}
    credentials = {name: value for name, (value, _) in chosen.items() if name.startswith(SOURCE_PREFIX)}
    errors += _no_days(credentials, chosen)
    aws = {name: value for name, (value, _) in chosen.items() if name.startswith(store.PREFIX)}
    values: dict[str, object] = {}
    for name, declared in _registry(model).items():
        if name in chosen:
            values[declared.name] = _value(name, declared, *chosen[name], errors)
    amount = next(declared for declared in fields(model) if declared.name == "budgets")
    budgets = {
        name: _value(name, amount, *found, errors) for name, found in chosen.items() if name.startswith(BUDGET_PREFIX)
    }
    others = {"remotes": remotes, "credentials": credentials, "aws": aws, "budgets": budgets, "notices": tuple(notices)}
    return None if errors else _made(model, root.absolute(), {**values, **others})


def _value(name: str, declared: Field[Any], value: str, where: str, errors: list[UsageError]) -> object:
    """Return what is written as the setting has it; None, with the reason added to `errors`, where it is not valid."""
    text = value.strip()
    if not text and declared.default is None:
        return None
    try:
        if text:  # nothing written is no value, and every other setting has one
            return declared.metadata["read"](_encodable(text))
    except ValueError:
        pass
    errors.append(_malformed(name, declared, value, where))
    return None


def _encodable(text: str) -> str:
    """Return a text; a ValueError where it is none, as bytes of the environment that are no UTF-8 stand in it."""
    text.encode()
    return text


def _made(model: type[Settings], root: Path, values: Mapping[str, object]) -> Settings:
    """Return settings of these values, else of the defaults; a relative folder is taken from the project's."""
    known = {one.name: values.get(one.name, one.default) for one in _registry(model).values()}
    folders = {name: root / value.expanduser() for name, value in known.items() if isinstance(value, Path)}
    return model(root=root, **{**values, **known, **folders})  # type: ignore[arg-type]  # each was read by its own


def _no_days(credentials: Mapping[str, str], chosen: Mapping[str, tuple[str, str]]) -> Iterator[UsageError]:
    """Yield an error for each day of a credential that is none."""
    for name, value in credentials.items():
        if name.endswith(SINCE):
            try:
                date.fromisoformat(value)
            except ValueError:
                what = f"{name} is {value!r}" if len(value) <= len("2026-01-31") else f"{name} is no day"
                fix = f"write the day since when {name.removesuffix(SINCE)} is what it is, for example 2026-01-31"
                yield UsageError(what, where=chosen[name][1], fix=fix)


def _malformed(name: str, field: Field[Any], value: str, where: str) -> UsageError:
    found = "empty" if not value.strip() else f"'{value}'"
    if field.metadata["read"] is Secret:
        found = "not what it should be"
    return UsageError(f"{name} is {found}", where=where, fix=f"write {field.metadata['write']}")


def _together(errors: list[UsageError]) -> UsageError:
    """Return several errors of the settings as one."""
    if len(errors) == 1:
        return errors[0]
    return UsageError(f"{len(errors)} errors in the settings\n" + "\n".join(map(str, errors)))
