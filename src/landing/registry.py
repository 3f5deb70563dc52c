"""The connectors that there are, the options that contracts write for them, and the credentials they need.

The folder src/landing/connectors is the registry: a module of it is a connector, and its file name is its name.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from importlib import import_module, util
from pathlib import Path
from typing import Any, cast

from src.contract import Feed, Source
from src.contract.errors import hint, shown
from src.errors import AuthError, BoathouseError, ContractError, ContractErrors
from src.landing import connectors
from src.landing.connector import Connector, Notice, Option
from src.landing.options import COMMON
from src.settings import SOURCE_PREFIX, Settings

# The names by which packages are imported, where they are others.
_MODULES = {"PyMySQL": "pymysql", "PyJWT": "jwt", "google-cloud-bigquery": "google.cloud.bigquery"}


def names() -> list[str]:
    """Return the name of every connector."""
    return sorted(one.name for one in pkgutil.iter_modules(connectors.__path__) if not one.name.startswith("_"))


def connector(name: str) -> Connector:
    """Import a connector; what it needs beyond Boathouse is imported where it is used."""
    return cast(Connector, import_module(f"src.landing.connectors.{name}"))


def check(feeds: Iterable[Feed]) -> None:
    """Compare what contracts say of sources with what their connectors take.

    Raises:
        ContractErrors: everything that is wrong with any of them.
    """
    errors = [error for feed in feeds if feed.source for error in _errors(feed, feed.source)]
    if errors:
        raise ContractErrors(errors)


def options(source: Source) -> dict[str, Any]:
    """Return the options of a source that was checked, with the defaults of those it does not write."""
    defaults = {name: option.default for name, option in _known(connector(source.connector)).items()}
    return defaults | dict(source.options)


def check_packages(source: Source, root: Path) -> None:
    """Look for the packages of a connector; `root` is the project's folder.

    Raises:
        ContractError: some are not installed; it has the line to type.
    """
    missing = [name for name in connector(source.connector).PACKAGES if not _is_installed(name)]
    if missing:
        what = f"the connector {source.connector} needs {', '.join(missing)}, not installed"
        raise ContractError(what, fix=_way_to_install(root))


def credentials(source: Source, known: Mapping[str, str]) -> dict[str, str]:
    """Return the credentials of a source by the names that its connector has for them.

    Raises:
        AuthError: some are not set; it names them.
    """
    needed = needed_credentials(source)
    missing = [f"{name} ({sentence})" for name, sentence in needed.items() if not known.get(name, "").strip()]
    if missing:
        fix = "set it in .env; `make sources` lists what each source asks for"
        raise AuthError(f"no credential {', '.join(missing)}", where=f"source {source.name}", fix=fix)
    prefix = len(setting(source, ""))
    return {name[prefix:]: known[name] for name in needed}


def needed_credentials(source: Source) -> dict[str, str]:
    """Return the settings that hold the credentials of a source, each with its sentence."""
    module = connector(source.connector)
    chosen = getattr(module, "credentials", None)
    keys = chosen(options(source)) if chosen else module.SECRETS
    return {setting(source, key): module.SECRETS[key] for key in keys}


def needed_settings(source: Source) -> dict[str, str]:
    """Return the settings that a source needs, each with its sentence: credentials, and the first of its remote."""
    prefix = _setting_prefix(source)
    remote = {f"{prefix}TYPE": "the remote's type, and what this needs, as rclone calls it"} if prefix else {}
    return needed_credentials(source) | remote


def has_no_setting(source: Source, settings: Settings) -> bool:
    """Return whether a source needs settings, and none of them is set."""
    prefix = _setting_prefix(source)
    remote = [value for name, value in settings.remotes.items() if prefix and name.startswith(prefix)]
    own = [settings.credentials.get(name, "") for name in needed_credentials(source)]
    return bool(own or prefix) and not any(value.strip() for value in (*own, *remote))


def setting(source: Source, key: str) -> str:
    """Return the name of the setting that holds a credential of a source: SOURCE_<NAME>_<KEY>."""
    return f"{SOURCE_PREFIX}{re.sub(r'[^A-Za-z0-9]', '_', source.name).upper()}_{key}"


def table_properties(source: Source) -> dict[str, str]:
    """Return the custom properties of a table that go with its source; columns are named as the source names them."""
    suggested = getattr(connector(source.connector), "table_properties", None)
    return dict(suggested(options(source))) if suggested else {}


def notices(source: Source, today: date) -> list[Notice]:
    """Return what will go wrong with a source that was checked, on a day that is known; asks nothing."""
    known = getattr(connector(source.connector), "notices", None)
    return list(known(options(source), today)) if known else []


def _setting_prefix(source: Source) -> str | None:
    asked = getattr(connector(source.connector), "setting_prefix", None)
    return asked(options(source)) if asked else None


def _known(module: Connector) -> dict[str, Option]:
    return {**COMMON, **module.OPTIONS}


def _errors(feed: Feed, source: Source) -> Iterator[BoathouseError]:
    """Yield what is wrong with one source, each with where it stands in the contract."""

    def error(what: str, fix: str, key: str = "") -> BoathouseError:
        where = f"{feed.declared_in}, server {feed.name}, customProperties[source]{key and '.' + key}"
        return ContractError(what, where=where, fix=fix)

    if source.connector not in names():
        yield error(f"no connector {source.connector}", hint(source.connector, names()), "connector")
        return
    module = connector(source.connector)
    known = _known(module)
    wrong = False
    for name, value in source.options.items():
        if name not in known:
            wrong = True
            yield error(f"unknown option {name} of connector {source.connector}", hint(name, known), name)
        elif not known[name].fits(value):
            wrong = True
            yield error(f"{name} {shown(value)}", f"write {known[name].write}", name)
    for name, option in known.items():
        if option.required and name not in source.options:
            wrong = True
            yield error(f"no {name}", f"write {name}: {option.write}")
    if not wrong:
        judge = getattr(module, "contradictions", None)
        found: Sequence[tuple[str, str]] = judge(options(source)) if judge else ()
        for what, fix in found:
            yield error(what, fix)


def _is_installed(package: str) -> bool:
    try:
        return util.find_spec(_MODULES.get(package, package.replace("-", "_"))) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


def _way_to_install(root: Path) -> str:
    """Return how a person installs what connectors need: in a clone by setup.sh, else as an extra of the package."""
    if (root / "setup.sh").is_file():
        return "type ./setup.sh --connectors"
    return "write boathouse[connectors] for boathouse in requirements.txt, then type make setup"
