"""Settings: every one declared once, every error found in one pass, no secret ever shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, replace
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from src.errors import MachineError, UsageError
from src.settings import ENV_EXAMPLE, Settings, Tombstone, env_template, load, settings_table

PROJECT = Path(__file__).parent.parent


def write(root: Path, text: str) -> Path:
    (root / ".env").write_text(text)
    return root


def refusal(root: Path, **environ: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(root, environ)
    return str(caught.value)


def test_without_an_env_file_every_setting_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == Settings(
        root=tmp_path,
        data_dir=tmp_path / "data",
        log_dir=tmp_path / "logs",
        log_level="INFO",
        sample_feed=False,
        sample_days=30,
        sample_seed=7,
        memory_limit="auto",
        threads=0,
        settle_seconds=2,
    )


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    write(tmp_path, "THREADS=3\nSAMPLE_SEED=11\n")
    settings = load(tmp_path, {"THREADS": "5", "UNRELATED": "x"})
    assert (settings.threads, settings.sample_seed, settings.sample_days) == (5, 11, 30)


def test_a_file_may_hold_comments_quotes_blanks_and_export(tmp_path: Path) -> None:
    write(
        tmp_path,
        "\ufeff# mine\n\nexport LOG_LEVEL='DEBUG'  # loud\n THREADS = 2 \nDATA_DIR=\"my lake\"\nLOG_DIR=a$b#c\n",
    )
    settings = load(tmp_path, {})
    assert (settings.log_level, settings.threads) == ("DEBUG", 2)
    assert (settings.data_dir, settings.log_dir) == (tmp_path / "my lake", tmp_path / "a$b#c")


def test_relative_folders_are_meant_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(Path("project"), {"DATA_DIR": "../lake", "LOG_DIR": "/var/log/boathouse"})
    assert settings.data_dir == tmp_path / "project" / ".." / "lake"
    assert settings.log_dir == Path("/var/log/boathouse")


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    with pytest.raises(FrozenInstanceError, match="threads"):
        settings.threads = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("DATA_DIR", "", "a folder"),
        ("DATA_DIR", "a\tb", "a folder"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING or ERROR"),
        ("LOG_LEVEL", "info", "DEBUG, INFO, WARNING or ERROR"),
        ("SAMPLE_FEED", "perhaps", "true or false"),
        ("SAMPLE_DAYS", "0", "from 1 to 3650"),
        ("SAMPLE_DAYS", "3651", "from 1 to 3650"),
        ("SAMPLE_DAYS", "2.5", "a whole number"),
        ("SAMPLE_SEED", "-1", "from 0"),
        ("MEMORY_LIMIT", "80%", "for example 2GB"),
        ("MEMORY_LIMIT", "2", "for example 2GB"),
        ("MEMORY_LIMIT", "0GB", "for example 2GB"),
        ("MEMORY_LIMIT", "Auto", "auto, or a number"),
        ("THREADS", "many", "from 0 to 1024"),
        ("THREADS", " ", "from 0 to 1024"),
        ("COST_PER_CPU_HOUR", "-1", "0 or more"),
        ("COST_CURRENCY", "euro", "three capital letters"),
        ("BUDGET_SALES", "0", "above 0"),
        ("BUDGET_SALES", " ", "above 0"),
        ("SETTLE_SECONDS", "nan", "from 0 to 3600"),
        ("SETTLE_SECONDS", "1e400", "from 0 to 3600"),
        ("MASK", "", "none masks nothing"),
        ("MASK", "pii, secret", "with blanks between them"),
        ("UNMASKED_USERS", "ada:grace", "with blanks between them"),
        ("UMASK", "27", "for example 027"),
        ("UMASK", "777", "of which the first is 0"),
        ("UMASK", "rwx", "for example 027"),
        ("SETTLE_SECONDS", "-0.1", "from 0 to 3600"),
    ],
)
def test_a_malformed_value_is_named_with_what_to_write(tmp_path: Path, name: str, value: str, advice: str) -> None:
    found = f"'{value}'" if value.strip() else "empty"
    message = refusal(tmp_path, **{name: value})
    assert message.startswith(f"{name} is {found}\n")
    assert "where: the environment" in message
    assert advice in message


@pytest.mark.parametrize("value", ["auto", "500MB", "1.5GB", "2GiB", "64MiB"])
def test_memory_is_auto_or_a_number_and_a_unit(tmp_path: Path, value: str) -> None:
    assert load(tmp_path, {"MEMORY_LIMIT": value}).memory_limit == value


# What each kind of setting takes is what pydantic takes for such a type, by which earlier releases read them.
KINDS: dict[str, TypeAdapter[Any]] = {
    "SAMPLE_FEED": TypeAdapter(bool),
    "SAMPLE_DAYS": TypeAdapter(Annotated[int, Field(ge=1, le=3650)]),
    "SETTLE_SECONDS": TypeAdapter(Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]),
    "COST_PER_GB_MONTH": TypeAdapter(
        Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
    ),
    "BUDGET_SALES": TypeAdapter(Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]),
    "COST_CURRENCY": TypeAdapter(Annotated[str, Field(pattern="^[A-Z]{3}$")]),
    "BACKUP_REMOTE": TypeAdapter(Annotated[str, Field(min_length=1)]),
}


NUMBERS = ["1_000", "5.0", "5.5", "\u0663", "1e400", "nan", "sNaN", "0.1234560", "0.0000000", "123456789012.123456"]
NUMBERS += ["1234567890123", "123456789012345678e-6", "0e50", "3650.00", "3651", "1e-7", "10e-7", "1E+11", "1e12", "-0"]
TEXTS = ["TRUE", "oN", "maybe", "Off", "2", "y", "EUR", "EURO", "EUR\nX", "eur", "a\nb", "\udcff"]
SHORT = ["".join(word) for length in range(1, 5) for word in product("01_.-+e", repeat=length)]


@pytest.mark.parametrize("name", KINDS)
def test_a_value_is_taken_as_pydantic_takes_it(name: str) -> None:
    differ = []
    for text in (*NUMBERS, *TEXTS, *(SHORT if name != "BACKUP_REMOTE" else ())):
        if name == "SAMPLE_DAYS" and re.match("[-+]?0+[-+_]", text):
            continue  # there it takes 0-1 and 0__1 for numbers too
        try:
            expected = KINDS[name].validate_python(text)
        except ValidationError:
            expected = None
        try:
            settings = load(PROJECT / "tests", {name: text})
        except UsageError:
            found = None
        else:
            found = settings.budgets[name] if name in settings.budgets else getattr(settings, name.lower())
        differ += [] if (found, type(found)) == (expected, type(expected)) else [(text, found, expected)]
    assert differ == []


def test_blanks_around_a_value_are_not_part_of_it(tmp_path: Path) -> None:
    assert load(tmp_path, {"MEMORY_LIMIT": " 2GB\n"}).memory_limit == "2GB"


def test_all_errors_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "THREADS=many\n\n\nhello world\nLOGLEVEL=INFO\nTHREADS=3\nSAMPLE_DAYS\n")
    env = tmp_path / ".env"
    assert refusal(tmp_path, SAMPLE_FEED="perhaps") == "\n".join(
        [
            "6 errors in the settings",
            "not NAME=value",
            f"  where: {env}, line 4",
            "  fix:   write NAME=value, or # before a comment",
            "unknown setting LOGLEVEL",
            f"  where: {env}, line 5",
            "  fix:   write LOG_LEVEL; known are DATA_DIR, BRANCH, LOG_DIR, LOG_LEVEL, LOG_FORMAT, SAMPLE_FEED, "
            "LANDING_REWRITE, SAMPLE_DAYS, SAMPLE_SEED, MEMORY_LIMIT, THREADS, ENGINE, WORKERS, WORKERS_FROM, "
            "TASK_MEMORY, STAGING_DIR, "
            "SPARK_MASTER, PROFILE, SETTLE_SECONDS, BACKUP_REMOTE, BACKUP_KEEP_DAILY, "
            "BACKUP_KEEP_WEEKLY, BACKUP_KEEP_MONTHLY, TIMEZONE, COST_PER_CPU_HOUR, COST_PER_GB_MONTH, COST_CURRENCY, "
            "PAGE_PORT, PAGE_ADDRESS, PAGE_READONLY, PAGE_HOST, PAGE_KEY, MASK, UNMASKED_USERS, FORGET_PAST, "
            "FORGET_KEY, UMASK, ALERT_URLS, OPENLINEAGE_URL, OPENLINEAGE_API_KEY, OPENLINEAGE_NAMESPACE, "
            "RCLONE_CONFIG_..., SOURCE_..., AWS_... and BUDGET_...",
            "THREADS again, set in line 1",
            f"  where: {env}, line 6",
            "  fix:   keep one of them",
            "not NAME=value",
            f"  where: {env}, line 7",
            "  fix:   write NAME=value, or # before a comment",
            "SAMPLE_FEED is 'perhaps'",
            "  where: the environment",
            "  fix:   write true or false",
            "THREADS is 'many'",
            f"  where: {env}, line 1",
            "  fix:   write a whole number from 0 to 1024",
        ]
    )


def test_an_unknown_setting_with_nothing_near_is_to_be_removed(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "COLOUR=blue\n"))
    assert "unknown setting COLOUR" in message
    assert "remove the line; known are DATA_DIR" in message


def test_a_lower_case_name_is_told_its_capitals(tmp_path: Path) -> None:
    assert "fix:   write THREADS; known" in refusal(write(tmp_path, "threads=2\n"))


@pytest.mark.parametrize("line", ["DATA_DIR='half", 'RCLONE_CONFIG_A_PASS="hunter2', "hunter2", "=hunter2", "hunter2"])
def test_a_line_that_cannot_be_read_is_numbered_and_not_shown(tmp_path: Path, line: str) -> None:
    message = refusal(write(tmp_path, f"# first\n\n{line}\n"))
    assert message.startswith("not NAME=value\n")
    assert "line 3" in message
    assert "hunter2" not in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DATA_DIR=\xff\xfe\n")
    assert "not text in UTF-8" in refusal(tmp_path)


def test_a_folder_named_env_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(MachineError, match="is a directory"):
        load(tmp_path, {})


def test_remotes_are_handed_on_whole_and_hidden_from_view(tmp_path: Path) -> None:
    write(tmp_path, "RCLONE_CONFIG_A_TYPE=drive\nRCLONE_CONFIG_A_PASS=from-file\nRCLONE_CONFIG_A_KEY= pad$ded \n")
    settings = load(tmp_path, {"RCLONE_CONFIG_A_PASS": "from-environment"})
    assert settings.remotes == {
        "RCLONE_CONFIG_A_TYPE": "drive",
        "RCLONE_CONFIG_A_PASS": "from-environment",
        "RCLONE_CONFIG_A_KEY": "pad$ded",
    }
    assert "from-environment" not in f"{settings!r} {settings}"


def test_secrets_are_remotes_and_secret_settings_of_four_characters_or_more(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "ALERT_URLS": "slack://token",
            "RCLONE_CONFIG_A_TYPE": "drive",
            "RCLONE_CONFIG_A_ENV_AUTH": "true",
            "RCLONE_CONFIG_A_PASS": "hunter2",
            "RCLONE_CONFIG_B_PASS": "hunter2",
            "RCLONE_CONFIG_A_USER": "abc",
            "RCLONE_CONFIG_A_KEY": "hunter2-and-more",
        },
    )
    assert settings.secrets() == ("hunter2-and-more", "slack://token", "hunter2")
    assert "slack" not in repr(settings)


def test_a_house_without_credentials_has_no_secrets(tmp_path: Path) -> None:
    assert load(tmp_path, {"DATA_DIR": "somewhere"}).secrets() == ()


def test_the_template_on_disk_is_up_to_date() -> None:
    assert (PROJECT / ENV_EXAMPLE).read_text() == env_template(), "run `make docs`"


def test_the_template_differs_from_the_defaults_in_the_sample_feed_alone(tmp_path: Path) -> None:
    from_template = load(write(tmp_path, env_template()), {})
    assert from_template == replace(load(tmp_path, {}), sample_feed=True)


def test_every_line_of_the_template_can_be_uncommented(tmp_path: Path) -> None:
    plain = load(write(tmp_path, ""), {"SAMPLE_FEED": "true"})
    entries = [line.removeprefix("# ") for line in env_template().splitlines() if "=" in line.split(" ")[-1]]
    ours = [entry for entry in entries if not entry.startswith(("RCLONE", "AWS", "SOURCE", "BUDGET"))]
    assert len(ours) == len(fields(Settings)) - 6
    settings = load(write(tmp_path, "\n".join(entries)), {})
    assert replace(settings, remotes={}, credentials={}, aws={}) == plain


def test_the_table_names_every_setting_with_its_default() -> None:
    rows = settings_table().splitlines()
    assert rows[0] == "| setting | default | meaning |"
    assert len(rows) == 2 + len(fields(Settings)) - 6
    assert "| `SAMPLE_FEED` | `false` | Whether the sample company's files are landed" in settings_table()


# -- names of earlier releases


class Later(Settings):
    """The settings of a later release, which renamed and removed some."""

    tombstones: ClassVar[Mapping[str, Tombstone]] = {
        "CORES": Tombstone("THREADS", "0.3.0", "the engine counts threads"),
        "HOOK": Tombstone("ALERT_URLS", "0.3.0", "alerts go through apprise"),
        "FAST_MODE": Tombstone(None, "0.4.0", "every run is fast"),
    }


def test_a_renamed_setting_is_taken_over_and_told(tmp_path: Path) -> None:
    write(tmp_path, "SAMPLE_DAYS=3\nCORES=5\nFAST_MODE=yes\n")
    settings = load(tmp_path, {"UNRELATED": "x"}, Later)
    assert (settings.threads, settings.sample_days) == (5, 3)
    assert settings.notices == (
        f"CORES is THREADS since 0.3.0: the engine counts threads ({tmp_path / '.env'}, line 2)",
        f"FAST_MODE is no setting since 0.4.0: every run is fast ({tmp_path / '.env'}, line 3)",
    )


def test_a_successor_that_is_set_wins_over_the_earlier_name(tmp_path: Path) -> None:
    write(tmp_path, "THREADS=2\n")
    settings = load(tmp_path, {"CORES": "5"}, Later)
    assert settings.threads == 2
    assert settings.notices == ("CORES is THREADS since 0.3.0: the engine counts threads (the environment)",)


def test_a_value_under_an_earlier_name_is_checked_and_its_secret_is_kept(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="THREADS is 'many'") as caught:
        load(tmp_path, {"CORES": "many"}, Later)
    assert "the environment, as CORES" in str(caught.value)
    settings = load(tmp_path, {"HOOK": "slack://token"}, Later)
    assert "slack://token" in settings.secrets()
    assert "token" not in "".join(settings.notices)


def test_a_name_that_never_was_a_setting_stays_an_error(tmp_path: Path) -> None:
    write(tmp_path, "CORES=5\nCORE=5\n")
    with pytest.raises(UsageError, match="unknown setting CORE"):
        load(tmp_path, {}, Later)


@pytest.mark.parametrize("model", [Settings, Later])
def test_an_earlier_name_leads_to_a_setting_and_is_none_itself(model: type[Settings]) -> None:
    known = {one.name.upper() for one in fields(model)}
    assert not known & set(model.tombstones)
    assert {stone.successor for stone in model.tombstones.values() if stone.successor} <= known


def test_no_template_and_no_table_names_a_setting_that_is_gone() -> None:
    for name in Settings.tombstones:
        assert name not in env_template()
        assert name not in settings_table()


def test_the_credentials_of_sources_are_settings_and_are_secrets(tmp_path: Path) -> None:
    settings = load(write(tmp_path, "SOURCE_SHOP_PASSWORD=swordfish\n"), {"SOURCE_SHOP_USER": "anna"})
    assert settings.credentials == {"SOURCE_SHOP_PASSWORD": "swordfish", "SOURCE_SHOP_USER": "anna"}
    assert {"swordfish", "anna"} <= set(settings.secrets())
    assert "swordfish" not in repr(settings)


def test_the_day_since_when_a_credential_is_what_it_is_stands_beside_it_and_is_no_secret(tmp_path: Path) -> None:
    write(tmp_path, "SOURCE_SHOP_PASSWORD=swordfish\nSOURCE_SHOP_PASSWORD_SINCE=2026-01-31\n")
    settings = load(tmp_path, {})
    assert settings.since() == {"SOURCE_SHOP_PASSWORD": date(2026, 1, 31)}
    assert settings.secrets() == ("swordfish",)


def test_a_day_of_a_credential_that_is_none_is_refused_and_a_long_value_is_not_shown(tmp_path: Path) -> None:
    message = refusal(tmp_path, SOURCE_SHOP_PASSWORD_SINCE="31.1.2026", SOURCE_SHOP_TOKEN_SINCE="a-token-by-mistake")
    assert "SOURCE_SHOP_PASSWORD_SINCE is '31.1.2026'" in message
    assert "write the day since when SOURCE_SHOP_PASSWORD is what it is, for example 2026-01-31" in message
    assert "SOURCE_SHOP_TOKEN_SINCE is no day" in message
    assert "a-token-by-mistake" not in message


def test_mask_names_classifications_in_any_case_and_none_names_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, {}).masked_classes == {"pii"}
    assert load(tmp_path, {"MASK": "PII  confidential"}).masked_classes == {"pii", "confidential"}
    assert load(tmp_path, {"MASK": "none"}).masked_classes == frozenset()
