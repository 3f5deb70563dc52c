"""docs/performance.md and its plots, rendered from the newest results: no figure in them is typed by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cost, plan, plots, results
from benchmarks.contenders import HERE
from benchmarks.figures import FLOOR, OWN, Measured, Results, Row, rows
from benchmarks.targets import TARGETS, Target

PAGE = Path("docs/performance.md")
PLOTS = Path("docs/performance")
SCALE = Path("docs/scale.md")
TITLES = {
    "first": "First load",
    "large": "First load of 30 million rows with little memory",
    "bronze": "Bronze alone",
    "daily-30k": "A day of 30,000 rows",
    "daily-300k": "A day of 300,000 rows",
    "flat": "The same day after 37, 365 and 1,095 days",
    "late": "Late corrections",
    "many": "600 tables",
    "idle": "Nothing new, a query, and the list of commands",
    "days": "1,095 daily runs, one after the other",
    "check": "A check of everything",
    "workers": "Two processes as workers",
    "scale": "The stages of a load",
    "cluster": "A cluster of two workers, and Spark with Delta on it",
    "backfill": "A backfill of everything",
}
INTRODUCTION = """\
# Performance

<!-- Rendered by `python -m benchmarks --render` from benchmarks/results and benchmarks/findings.md. Do not edit. -->

How long Boathouse takes and how much memory, beside other ways to do the same work on the same files.

- **The rows**: order lines of 14 columns, one file a day, made by [generate.py](../benchmarks/generate.py) from a seed.
  5 % of a day's rows are delivered twice, within the day or days later; 2 % are late corrections, up to seven days
  back; 0.5 % are dirty. A history of 1, 10 or 30 million rows (1m, 10m, 30m) is spread over 365 days.
- **The work**, the same for everyone: keep the rows as they came, put the dirty ones aside, keep the newest row of each
  key whatever the order of arrival, and the revenue of each day, country and product.
- **The same result**: after the first round the rows, sums and content hashes of all four tables are compared; between
  the engines of Boathouse (`--only cluster`) the cells, versions and recorded progress of every table.
  Contenders that differ in one row are not timed: the run is refused.
- **A round**: every contender once, in turn, so that a busy machine slows them alike; each in fresh processes, from a
  copy of the same state, with the files in the page cache. Read the ratios, and medians within one table only.
  Boathouse knows by times and inodes, which a copy does not keep, what has not changed since its last run; so it runs
  in the copy once with nothing new, outside of the measurement.
- **Memory** is the resident peak of the largest process; **written** is what all processes handed to the storage,
  spilled bytes included.
- **Peers** are dbt, SQLMesh and dlt. The tutorial script is shown, and no target is compared with it: it loads all rows
  into memory, keeps no record of what it read, and leaves half a load where it is stopped.
- **The floor** is [a script](../benchmarks/floor.py) of DuckDB alone that writes plain Parquet: no table format, no
  memory of what was read, no checks, and half a table when it is cut short.

Measure again with `make bench` (1m, some twenty minutes on two cores), `make bench ARGS="--full"` (all of it: some
hours, and 60 GB of disk below `BENCH_DIR`) or a part, `make bench ARGS="--only daily-30k --sizes 1m 10m"`. What was
measured is kept at once, and tasks of the same commit stay beside each other, so that it can be done in parts.
"""


def write(root: Path) -> None:
    """Write the page and the plots of a project from its results."""
    found = results.read()
    shutil.rmtree(root / PLOTS, ignore_errors=True)
    (root / PLOTS).mkdir(parents=True)
    for name, svg in drawn(found).items():
        (root / PLOTS / name).write_text(svg, encoding="utf-8")
    (root / PAGE).write_text(page(found, (HERE / "findings.md").read_text(encoding="utf-8")), encoding="utf-8")
    (root / SCALE).write_text(with_cost((root / SCALE).read_text(encoding="utf-8"), found), encoding="utf-8")


def with_cost(text: str, found: Results) -> str:
    """The text of docs/scale.md with its tables of cost as the results have them."""
    first, last = "<!-- cost -->\n", "<!-- /cost -->"
    before, _, rest = text.partition(first)
    return f"{before}{first}{cost.section(found)}{last}{rest.partition(last)[2]}"


def page(found: Results, findings: str) -> str:
    """The text of docs/performance.md."""
    measured = Measured(found)
    parts = [INTRODUCTION, *_machine(found), *_targets(measured), *_contenders(found)]
    for scenario, title in TITLES.items():
        if scenario in found:
            parts += _scenario(scenario, title, found, measured)
    return "\n".join([*parts, "## Findings", "", findings.strip(), ""])


def drawn(found: Results) -> dict[str, str]:
    """The plots, by file name: one for each scenario."""
    listed = {name: [row for row in rows({name: found[name]}) if not row.failed] for name in TITLES if name in found}
    made = {f"{name}.svg": _bars(shown) for name, shown in listed.items() if name != "days"}
    if days := Measured(found).series("days"):
        made["days.svg"] = plots.line(f"{TITLES['days']}: seconds of each run", days, [10, len(days)], "s")
    return made


# -- the parts of the page


def _machine(found: Results) -> list[str]:
    """On what, and when; one line for each machine and commit that scenarios were measured on."""
    groups: dict[str, list[str]] = {}
    for scenario, result in found.items():
        groups.setdefault(_described(result["machine"]), []).append(TITLES.get(scenario, scenario))
    lines = [f"- {', '.join(titles)}: {described}" for described, titles in groups.items()]
    if len(groups) == 1:
        lines = [f"- {next(iter(groups))}"]
    return ["## Measured on", "", *(lines or ["- nothing yet"]), ""]


def _described(machine: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    commit = f"commit {machine['commit']}" + (" with changes" if machine["changed"] else "")
    return (
        f"{machine['date']}, {commit}; {machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
        f"{machine['kernel']}, Python {machine['python']}, {libraries}"
    )


def _targets(measured: Measured) -> list[str]:
    lines = [_target(target, measured) for target in TARGETS]
    return ["## Targets", "", "| target | at most | measured | |", "| --- | ---: | ---: | --- |", *lines, ""]


def _target(target: Target, measured: Measured) -> str:
    value, fastest = target.measured(measured), measured.fastest_peer(*target.against)
    most = f"{target.most:g} {target.unit}"
    if value is None:
        return f"| {target.what} | {most} | | not measured |"
    what = f"{target.what} ({fastest.contender})" if fastest else target.what
    verdict = "reached" if value <= target.most else "**missed**"
    return f"| {what} | {most} | {value:.2f} {target.unit} | {verdict} |"


def _contenders(found: Results) -> list[str]:
    """Who takes part with which versions, and who could not."""
    lines = []
    for folder in sorted(path for path in (HERE / "peers").iterdir() if path.is_dir()):
        pins = ", ".join((folder / "requirements.txt").read_text(encoding="utf-8").split())
        lines.append(f"| [{folder.name}](../benchmarks/peers/{folder.name}) | {pins.replace('==', ' ')} |")
    missing = {name: why for result in found.values() for name, why in result["missing"].items()}
    absent = [f"- {name} did not take part: {why}" for name, why in missing.items()]
    return [
        "## The peers",
        "",
        "Each in a venv of its own, with its configuration in the repository and its usage reports off.",
        "",
        "| peer | versions |",
        "| --- | --- |",
        *lines,
        "",
        *([*absent, ""] if absent else []),
    ]


def _scenario(scenario: str, title: str, found: Results, measured: Measured) -> list[str]:
    listed = rows({scenario: found[scenario]})
    said = plan.said_of(scenario)
    parts = [f"## {title}", "", said, "", f"![{title}](performance/{scenario}.svg)", ""]
    if scenario == "days":
        return [*parts, *_days(listed[0], found[scenario]["entries"][0].get("sizes", {}), measured)]
    head = "| task | contender | seconds | from - to | x floor | cpu s | memory MiB | written MiB |"
    parts += [head, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |", *_lines(listed, measured), ""]
    return [*parts, *_shares(found[scenario]["entries"]), *_stages(found[scenario]["entries"])]


def _shares(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What driver and workers took, of those whose parts were looked at."""
    looked_at = [one for one in entries if one.get("parts")]
    if not looked_at:
        return
    yield from ("Of the last round, each part; bytes are those of files and of sockets:", "")
    yield "| contender | part | cpu s | share | memory MiB | read MiB | written MiB |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for one in looked_at:
        everyone = sum(part["cpu_seconds"] for part in one["parts"].values()) or 1
        for name, part in one["parts"].items():
            yield (
                f"| {one['contender']} | {name} | {part['cpu_seconds']:.2f} | {part['cpu_seconds'] / everyone:.0%} | "
                f"{part['peak_mib']:.0f} | {part['read_mib']:.0f} | {part['written_mib']:.0f} |"
            )
    yield ""


def _stages(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What each stage took, of those that deal work out."""
    dealing = [one for one in entries if one.get("stages")]
    if not dealing:
        return
    yield from ("| contender | stage | tasks | seconds | cpu s |", "| --- | --- | ---: | ---: | ---: |")
    for one in dealing:
        for name, stage in one["stages"].items():
            took = f"{stage['seconds']:.2f} | {stage['cpu_seconds']:.2f}"
            yield f"| {one['contender']} | {name} | {stage['tasks']:.0f} | {took} |"
    yield ""


def _lines(listed: Sequence[Row], measured: Measured) -> Iterator[str]:
    for row in listed:
        name = f"**{row.contender}**" if row.contender.startswith(OWN) else row.contender
        if row.failed:
            yield f"| {row.task} | {name} | {row.failed} | | | | | |"
            continue
        floor = measured.seconds(row.scenario, row.task, FLOOR)
        times = f"{row.seconds / floor:.2f}" if floor else ""
        span = f"{row.fastest:.2f} - {row.slowest:.2f}"
        yield (
            f"| {row.task} | {name} | {row.seconds:.2f} | {span} | {times} | {row.cpu_seconds:.2f} | "
            f"{row.peak_mib:.0f} | {row.written_mib:.1f} |"
        )


def _days(row: Row, sizes: Mapping[str, Mapping[str, int]], measured: Measured) -> list[str]:
    """What the runs took, early and late, and what the folders weighed that are to stay bounded."""
    days, grown, worked = (
        measured.series("days"),
        measured.late_to_early(),
        measured.late_to_early("cpu_seconds"),
    )
    compared = (
        f"The last ten take {grown:.2f} times what the ten around the tenth take ({worked:.2f} times of the processor; "
        "medians). "
        if grown and worked
        else ""
    )
    names = list(next(iter(sizes.values()), {}))
    return [
        f"{len(days)} runs, {row.seconds:.2f} s in the median, {row.fastest:.2f} - {row.slowest:.2f} s. {compared}"
        f"Memory: {row.peak_mib:.0f} MiB at most.",
        "",
        "Megabytes before the maintenance of a quarter:",
        "",
        f"| day | {' | '.join(names)} |",
        f"| ---: |{' ---: |' * len(names)}",
        *(f"| {day} | {' | '.join(f'{found[name] / 1e6:.2f}' for name in names)} |" for day, found in sizes.items()),
        "",
    ]


def _bars(listed: Sequence[Row]) -> str:
    groups: dict[str, list[plots.Bar]] = {}
    for row in listed:
        groups.setdefault(f"{row.task}, seconds", []).append((row.contender, row.seconds, f"{row.seconds:.2f} s"))
    return plots.bars(list(groups.items()), OWN)
