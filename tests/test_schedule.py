"""The schedule: what runs when and in which order, and how it gets into cron and systemd and out of them again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT, typed
from cronsim import CronSim

from src.commands import names
from src.errors import MachineError, UsageError
from src.maintenance import cron, jobs, schedule, timers
from src.maintenance.schedule import Schedule, ScheduleChange, Schedulers
from src.settings import load

# A folder that a careless line would trip over: a blank, quotes, cron's and systemd's %, the shell's $ and ;.
ODD = """our lake's "50%h" $HOME;x"""
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday

CLONE = (".venv/bin/python", "main.py")
ELSEWHERE = (f"/opt/{ODD}/bin/boathouse",)  # a program that lies in no project

CRONTAB = """\
#!/bin/sh
case $1 in
-l) [ -f "$0.table" ] && exec cat "$0.table"; echo "no crontab for me" >&2; exit 1 ;;
-r) rm "$0.table" ;;
-) cat >"$0.table" ;;
esac
"""
TELLS_WHERE = '''
"""Say where it was called."""
import os
def arguments(parser): pass
def run(call):
    print(os.environ["PATH"], "in", os.getcwd())
    return 0
'''
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >>"$0.asked"
"""


def program(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def machine(tmp_path: Path) -> Schedulers:
    """Both schedulers of a machine: a crontab that keeps its table in a file, a systemctl that notes its words."""
    crontab = program(tmp_path / "bin/crontab", CRONTAB)
    return Schedulers(crontab, program(tmp_path / "bin/systemctl", SYSTEMCTL), tmp_path / "units")


@pytest.fixture
def project(tmp_path: Path) -> Schedule:
    root = tmp_path / ODD
    (root / "logs").mkdir(parents=True)
    return Schedule(root, root / "logs/cron.log", "/usr/bin:/bin")


def table(machine: Schedulers) -> Path:
    return Path(f"{machine.crontab}.table")


def asked(machine: Schedulers) -> list[str]:
    return Path(f"{machine.systemctl}.asked").read_text(encoding="utf-8").splitlines()


def done(project: Schedule, machine: Schedulers, kind: str = "cron", *, install: bool = True) -> str:
    """Plan and do; gives the lines that came and went."""
    changes = schedule.plan(project, machine, kind, install=install)
    schedule.execute(changes, machine, kind)
    return schedule.differences(changes)


def block(project: Schedule) -> list[str]:
    return schedule.text(project, "cron").splitlines()


def as_cron_does(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of a crontab line: five fields off, cut at a bare %, \\% made %, sh with a small environment."""
    command = line.split(None, 5)[5]
    command = re.split(r"(?<!\\)%", command)[0].replace("\\%", "%")
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    return subprocess.run(["/bin/sh", "-c", command], cwd=home, env=environ, capture_output=True, text=True)


# -- what runs when


@pytest.mark.parametrize(
    ("hour", "daily", "weekly"),
    [
        (2, "2026-11-22 02:00", "2026-11-22 04:00"),
        (0, "2026-11-22 00:00", "2026-11-22 02:00"),
        (23, "2026-11-21 23:00", "2026-11-22 01:00"),
    ],
)
def test_cron_begins_the_jobs_when_they_are_due(project: Schedule, hour: int, daily: str, weekly: str) -> None:
    lines = block(Schedule(project.root, project.log, project.path, hour))[2:-1]
    local = NOON.replace(tzinfo=None)
    due = [next(CronSim(" ".join(line.split()[:5]), local)) for line in lines]
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in due] == ["2026-11-21 12:30", daily, weekly]
    names = [re.search(r"main\.py jobs (\w+) ", line) for line in lines]
    assert [name and name[1] for name in names] == ["hourly", "daily", "weekly"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_begins_the_jobs_when_they_are_due(project: Schedule) -> None:
    due = {}
    for name, unit in timers.units(project.root, project.path, 2, CLONE).items():
        if found := re.search("^OnCalendar=(.*)$", unit, re.M):
            command = ["systemd-analyze", "calendar", f"--base-time={NOON:%Y-%m-%d %H:%M:%S UTC}", found[1]]
            environ = os.environ | {"TZ": "UTC", "LC_ALL": "C"}
            said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
            elapse = re.search(r"Next elapse: \w+ (\S+ \S+)", said)
            due[name.rsplit("-", 1)[1]] = elapse and elapse[1]
    assert due == {
        "hourly.timer": "2026-11-21 12:30:00",
        "daily.timer": "2026-11-22 02:00:00",
        "weekly.timer": "2026-11-22 04:00:00",
    }


def test_every_step_is_a_command() -> None:
    assert {step.command for steps in jobs.JOBS.values() for step in steps} - set(names()) == set()


# -- a job


def end_with(root: Path, **codes: str) -> None:
    """A program whose commands end as told (a shell's words), every other well."""
    cases = "".join(f"{name.replace('_', '-')}) {words} ;;\n" for name, words in codes.items())
    program(root / "commands", f"#!/bin/sh\ncase $1 in\n{cases}esac\n")


def carried(root: Path, name: str) -> tuple[dict[str, int], list[str], list[float]]:
    """Do a job on a clock that only sleeping moves: the codes, the lines said, the seconds of each sleep."""
    said: list[str] = []
    slept: list[float] = []
    clock = jobs.Clock(lambda: NOON + timedelta(seconds=sum(slept)), slept.append)
    codes = jobs.run_job(root, name, ["./commands"], said.append, {"PATH": os.environ["PATH"]}, clock)
    return codes, said, slept


@pytest.mark.parametrize(
    ("codes", "ended"),
    [
        ({}, {"forget": 0, "optimize": 0, "check": 0, "backup": 0, "drill": 0, "vacuum": 0}),
        ({"optimize": "exit 5"}, {"forget": 0, "optimize": 5, "check": 0, "backup": 0, "drill": 0, "vacuum": 0}),
        ({"check": "exit 1"}, {"forget": 0, "optimize": 0, "check": 1, "backup": 0, "drill": 0}),
        ({"backup": "exit 7"}, {"forget": 0, "optimize": 0, "check": 0, "backup": 7}),
        ({"drill": "exit 4"}, {"forget": 0, "optimize": 0, "check": 0, "backup": 0, "drill": 4}),
        ({"vacuum": "exit 70"}, {"forget": 0, "optimize": 0, "check": 0, "backup": 0, "drill": 0, "vacuum": 70}),
    ],
)
def test_nothing_is_vacuumed_before_every_law_holds_and_a_backup_was_made_and_restored(
    project: Schedule, codes: dict[str, str], ended: dict[str, int]
) -> None:
    end_with(project.root, **codes)
    found, said, _ = carried(project.root, "weekly")
    assert found == ended
    assert list(found) == list(ended)
    left_out = [line.split()[1] for line in said if "left out" in line]
    assert left_out == [
        name for name in ("forget", "optimize", "check", "backup", "drill", "vacuum") if name not in ended
    ]


def test_models_are_trained_where_a_project_has_some_and_their_failure_holds_up_nothing(project: Schedule) -> None:
    end_with(project.root, train="echo no rows; exit 5")
    model = project.root / "src/ml/post/late.yaml"
    model.parent.mkdir(parents=True)
    assert "train" not in carried(project.root, "weekly")[0]
    model.touch()
    codes, said, _ = carried(project.root, "weekly")
    assert codes == {"forget": 0, "optimize": 0, "train": 5, "check": 0, "backup": 0, "drill": 0, "vacuum": 0}
    assert said[5:7] == ["weekly train | no rows", "weekly train | failed with exit code 5 (environment) after 0 s"]
    assert jobs.first_failure(codes) == ("train", 5)
    assert "weekly: forget, optimize, train, check, backup, drill, vacuum in " in schedule.text(project, "systemd")


def test_the_day_is_reported_also_when_the_pipeline_failed(project: Schedule) -> None:
    end_with(project.root, run="echo partly; exit 9")
    codes, said, _ = carried(project.root, "daily")
    assert codes == {"rotate-logs": 0, "run": 9, "report": 0}
    assert jobs.first_failure(codes) == ("run", 9)
    assert said == [
        "daily rotate-logs | begins",
        "daily rotate-logs | done after 0 s",
        "daily run | begins",
        "daily run | partly",
        "daily run | failed with exit code 9 (partial) after 0 s",
        "daily report | begins",
        "daily report | done after 0 s",
    ]


@pytest.mark.parametrize(("words", "code"), [("exit 8", 8), ("exit 6", 6)])
def test_a_step_that_finds_the_lake_taken_or_fails_in_passing_is_tried_again(
    project: Schedule, words: str, code: int
) -> None:
    end_with(project.root, health=f"echo x >> tries; test $(wc -l < tries) -ge 3 || {words}")
    codes, said, slept = carried(project.root, "hourly")
    assert (codes, slept) == ({"health": 0}, [300, 300])
    assert said[-1] == "hourly health | done after 600 s"
    assert sum(f"failed with exit code {code} " in line and "again in 300 s" in line for line in said) == 2


def test_it_is_tried_for_50_minutes_and_then_given_up(project: Schedule) -> None:
    end_with(project.root, health="echo x >> tries; exit 8")
    codes, said, slept = carried(project.root, "hourly")
    assert (codes, slept) == ({"health": 8}, [300] * 10)
    assert said[-1] == "hourly health | failed with exit code 8 (locked) after 3000 s"
    assert (project.root / "tries").read_text().count("x") == 11


def test_a_step_that_is_killed_has_the_code_of_its_signal(project: Schedule) -> None:
    end_with(project.root, health="kill -9 $$")
    assert carried(project.root, "hourly")[0] == {"health": 137}


def test_a_clone_installs_first_what_its_requirements_say_now(project: Schedule) -> None:
    end_with(project.root, health="echo healthy")
    program(project.root / "setup.sh", "#!/bin/sh\necho installing $1\n")
    codes, said, _ = carried(project.root, "hourly")
    assert codes == {"health": 0}
    assert said[:3] == ["hourly setup | installing --quiet", "hourly health | begins", "hourly health | healthy"]
    program(project.root / "setup.sh", "#!/bin/sh\necho no network; exit 1\n")
    codes, said, _ = carried(project.root, "weekly")
    assert (codes, said) == ({"setup": MachineError.exit_code}, ["weekly setup | no network"])


def test_what_a_job_prints_is_in_cron_log_by_day_and_without_secrets_and_its_failure_on_stderr(
    project: Schedule, capsys: pytest.CaptureFixture[str]
) -> None:
    end_with(project.root, health="echo to mailto://hunter2-secret; printf 'caf\\351\\n'; exit 1")
    (project.root / "logs/cron.log").write_text("2026-11-20 09:00:00Z | of the day before\n", encoding="utf-8")
    environ = {"ALERT_URLS": "mailto://hunter2-secret", "LOG_DIR": "logs"}
    settings = load(project.root, environ)
    environ = {"PATH": os.environ["PATH"]}
    code = jobs.show(settings, "hourly", ["./commands"], environ, jobs.Clock(lambda: NOON))
    assert code == 1
    lines = (project.root / "logs/cron.log").read_text(encoding="utf-8").splitlines()
    assert lines == [
        "2026-11-21 12:00:00Z | hourly health | begins",
        "2026-11-21 12:00:00Z | hourly health | to ***",
        "2026-11-21 12:00:00Z | hourly health | caf\ufffd",
        "2026-11-21 12:00:00Z | hourly health | failed with exit code 1 (a check found something) after 0 s",
    ]
    assert (project.root / "logs/cron.2026-11-20.log").exists()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: hourly: health failed with exit code 1 (a check found something)\n  where: ")


# -- in cron


def test_a_line_does_its_job_from_any_folder_and_says_nothing_where_it_went_well(
    project: Schedule, machine: Schedulers, tmp_path: Path
) -> None:
    """The whole way: the project in a folder with an odd name, installed, its line run as cron runs it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copy(ROOT / "main.py", project.root)
    shutil.copytree(ROOT / "src", project.root / "src", ignore=ignored)
    (project.root / ".venv").symlink_to(Path(sys.prefix))
    (project.root / "src/commands/health.py").write_text(TELLS_WHERE, encoding="utf-8")
    done(project, machine)
    hourly = table(machine).read_text(encoding="utf-8").splitlines()[2]
    assert hourly.startswith("30 * * * * ")
    ran = as_cron_does(hourly, tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    said = [line.split("Z | ", 1)[1] for line in project.log.read_text(encoding="utf-8").splitlines()]
    assert said[0] == "hourly health | begins"
    assert said[1] == f"hourly health | /usr/bin:/bin in {project.root}"
    assert said[2].startswith("hourly health | done after ")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["bin", ODD])


@pytest.mark.parametrize(("python", "code"), [("#!/bin/sh\nexit 9\n", 9), (None, 127)])
def test_a_line_whose_job_fails_or_cannot_begin_adds_its_code_to_cron_log(
    project: Schedule, tmp_path: Path, python: str | None, code: int
) -> None:
    if python:
        program(project.root / ".venv/bin/python", python)
    as_cron_does(block(project)[4], tmp_path)
    said = project.log.read_text(encoding="utf-8")
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ \| weekly \| exit code {code}\n", said)


def test_a_crontab_of_this_machine_takes_the_block(project: Schedule, tmp_path: Path) -> None:
    crontab = shutil.which("crontab")
    (tmp_path / "fine").write_text("0 2 * * 0 true\n", encoding="utf-8")
    if not crontab or subprocess.run([crontab, "-n", tmp_path / "fine"], capture_output=True).returncode:
        pytest.skip("there is no crontab here that checks a file (-n)")
    (tmp_path / "block").write_text(schedule.text(project, "cron"), encoding="utf-8")
    (tmp_path / "wrong").write_text(schedule.text(project, "cron").replace("* * 0 ", "* * 9 "), encoding="utf-8")
    taken = [subprocess.run([crontab, "-n", tmp_path / name], capture_output=True) for name in ("block", "wrong")]
    assert [ran.returncode for ran in taken] == [0, 1]


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\n",
        b'# mine\n5 5 * * 1 /bin/true "100\\%"\n',
        b"MAILTO=caf\xe9@example.org\r\n\n\n  # blanks at the end  \n@reboot\ttrue\n\n",
        b"# >>> boathouse /another/lake >>>\n1 1 * * * true\n# <<< boathouse /another/lake <<<\n",
    ],
)
def test_the_block_comes_and_goes_and_no_other_byte_of_the_crontab_changes(
    project: Schedule, machine: Schedulers, before: bytes
) -> None:
    if before:
        table(machine).write_bytes(before)
    assert done(project, machine).splitlines() == ["crontab", *(f"+{line}" for line in block(project))]
    assert table(machine).read_bytes() == before + schedule.text(project, "cron").encode()
    assert done(project, machine) == ""
    assert table(machine).read_bytes() == before + schedule.text(project, "cron").encode()
    done(project, machine, install=False)
    assert (table(machine).read_bytes() if before else table(machine).exists()) == (before or False)
    assert done(project, machine, install=False) == ""


def test_another_hour_takes_the_block_s_place_between_the_lines_of_others(
    project: Schedule, machine: Schedulers
) -> None:
    mine = schedule.text(project, "cron")
    table(machine).write_text(f"# above\n{mine}# below\n", encoding="utf-8")
    said = done(Schedule(project.root, project.log, project.path, 5), machine)
    assert [line[:12] for line in said.splitlines()] == [
        "crontab",
        "-0 2 * * * c",
        "-0 4 * * 0 c",
        "+0 5 * * * c",
        "+0 7 * * 0 c",
    ]
    after = table(machine).read_text(encoding="utf-8")
    assert after == f"# above\n{mine.replace('0 2 * * *', '0 5 * * *').replace('0 4 * * 0', '0 7 * * 0')}# below\n"


def test_two_projects_on_one_machine_do_not_meet(project: Schedule, machine: Schedulers, tmp_path: Path) -> None:
    inside = Schedule(project.root / "lake", tmp_path / "cron.log", project.path)
    for kind in ("cron", "systemd"):
        done(project, machine, kind)
        first = {path.name: path.read_text() for path in machine.units.glob("*")} or table(machine).read_text()
        done(inside, machine, kind)
        done(inside, machine, kind, install=False)
        assert (
            {path.name: path.read_text() for path in machine.units.glob("*")} or table(machine).read_text()
        ) == first
        done(project, machine, kind, install=False)


def test_a_line_without_an_end_is_given_one_before_the_block(project: Schedule, machine: Schedulers) -> None:
    table(machine).write_text("# no end of line", encoding="utf-8")
    done(project, machine)
    assert table(machine).read_text(encoding="utf-8") == "# no end of line\n" + schedule.text(project, "cron")


BEGIN, END = "# >>> boathouse /lake >>>", "# <<< boathouse /lake <<<"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([BEGIN, "0 1 * * * x"], f"line 1 is '{BEGIN}'"),
        (["0 1 * * * x", END], f"line 2 is '{END}'"),
        ([END, BEGIN], f"line 1 is '{END}', line 2 is '{BEGIN}'"),
        ([BEGIN, END, BEGIN, END], "line 3 is"),
        ([BEGIN, "# >>> boathouse /other >>>", END], "line 2 is '# >>> boathouse /other >>>'"),
    ],
)
@pytest.mark.parametrize("install", [True, False])
def test_a_damaged_block_is_refused_with_its_lines(
    machine: Schedulers, lines: list[str], told: str, install: bool
) -> None:
    text = "\n".join([*lines, ""])
    table(machine).write_text(text, encoding="utf-8")
    lake = Schedule(Path("/lake"), Path("/lake/logs/cron.log"), "/bin")
    with pytest.raises(MachineError, match="a damaged block in the crontab") as refused:
        done(lake, machine, install=install)
    assert told in refused.value.what
    assert table(machine).read_text(encoding="utf-8") == text


def test_a_crontab_that_refuses_is_quoted_and_nothing_is_taken_for_empty(project: Schedule, tmp_path: Path) -> None:
    denied = program(
        tmp_path / "crontab", '#!/bin/sh\necho "You (me) are not allowed to use this program" >&2; exit 1\n'
    )
    with pytest.raises(MachineError, match="not allowed to use this program"):
        done(project, Schedulers(denied, None, tmp_path / "units"))
    with pytest.raises(MachineError, match="not allowed to use this program"):
        cron.write(denied, "x\n")


def test_a_folder_that_no_line_can_hold_is_refused(machine: Schedulers, tmp_path: Path) -> None:
    split = Schedule(tmp_path / "a\nb", tmp_path / "cron.log", "/bin")
    for kind in ("cron", "systemd"):
        with pytest.raises(UsageError, match="an unprintable character"):
            done(split, machine, kind)
    assert not table(machine).exists()


# -- in systemd


def test_the_units_come_and_go_and_their_timers_with_them(project: Schedule, machine: Schedulers) -> None:
    machine.units.mkdir()
    theirs = machine.units / "boathouse-other-01234567-daily.timer"
    theirs.write_text("[Timer]\n", encoding="utf-8")
    assert done(project, machine, "systemd")
    names = sorted(path.name for path in machine.units.iterdir() if path != theirs)
    kinds = [re.fullmatch(r"boathouse-our-lake-s-50-h-home-x-[0-9a-f]{8}-(.+)", name) for name in names]
    jobs_of = ["daily.service", "daily.timer", "hourly.service", "hourly.timer", "weekly.service", "weekly.timer"]
    assert [kind and kind[1] for kind in kinds] == jobs_of
    ours = " ".join(names[at] for at in (1, 3, 5))
    assert asked(machine) == ["--user daemon-reload", f"--user enable {ours}", f"--user restart {ours}"]
    assert done(project, machine, "systemd") == ""
    done(project, machine, "systemd", install=False)
    assert list(machine.units.iterdir()) == [theirs]
    assert asked(machine)[-2:] == [f"--user disable --now {ours}", "--user daemon-reload"]
    before = len(asked(machine))
    assert done(project, machine, "systemd", install=False) == ""
    assert len(asked(machine)) == before


def test_a_unit_names_the_folder_so_that_systemd_reads_it_as_it_is() -> None:
    made = timers.units(Path('/a "50%h" $lake'), '/a "50%h" $lake:/usr/bin', 2, CLONE)
    service = next(unit for name, unit in made.items() if name.endswith("-daily.service"))
    assert service.splitlines()[1:] == [
        "[Unit]",
        'Description=Boathouse, daily: rotate-logs, run, report in /a "50%%h" $lake',
        "",
        "[Service]",
        "Type=oneshot",
        'WorkingDirectory=/a "50%%h" $lake',
        'Environment="PATH=/a \\"50%%h\\" $lake:/usr/bin"',
        "ExecStart=/usr/bin/env .venv/bin/python main.py jobs daily",
    ]


def test_a_project_without_the_product_is_called_by_the_program_that_was_installed() -> None:
    lines = cron.block(Path("/lake"), Path("/lake/logs/cron.log"), "/bin", 2, [".venv/bin/boathouse"]).splitlines()
    assert lines[2].startswith("30 * * * * cd /lake && PATH=/bin .venv/bin/boathouse jobs hourly || ")
    made = timers.units(Path("/lake"), "/bin", 2, ELSEWHERE)
    service = next(unit for name, unit in made.items() if name.endswith("-daily.service"))
    program = """ExecStart=/usr/bin/env "/opt/our lake's \\"50%%h\\" $$HOME;x/bin/boathouse" jobs daily"""
    assert service.splitlines()[-1] == program


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_finds_no_error_in_the_units_whatever_the_folder_is_called(project: Schedule, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    for name, unit in timers.units(project.root, f"{project.root}:/usr/bin", 2, ELSEWHERE).items():
        (folder / name).write_text(unit, encoding="utf-8")
    command = ["systemd-analyze", "--user", "verify", *sorted(map(str, folder.iterdir()))]
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    service = next(folder.glob("*-daily.service"))
    service.write_text(service.read_text().replace("WorkingDirectory=", "WorkingDirectory=lake"), encoding="utf-8")
    broken = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert "WorkingDirectory" in broken.stderr


def test_a_systemctl_that_refuses_is_quoted(project: Schedule, machine: Schedulers, tmp_path: Path) -> None:
    refuses = program(tmp_path / "refuses", '#!/bin/sh\necho "Failed to connect to bus: No medium found" >&2; exit 1\n')
    with pytest.raises(MachineError, match="systemctl --user daemon-reload: Failed to connect to bus") as refused:
        done(project, Schedulers(None, refuses, machine.units), "systemd")
    assert "--kind cron" in (refused.value.fix or "")
    done(project, machine, "systemd")  # the units lie there, and are set going all the same
    assert asked(machine)[0] == "--user daemon-reload"


# -- either


def test_a_scheduler_that_is_not_here_is_named_and_the_other_offered(project: Schedule, tmp_path: Path) -> None:
    neither = Schedulers(None, None, tmp_path / "units")
    for kind, name, other in (("cron", "crontab", "systemd"), ("systemd", "systemctl", "cron")):
        with pytest.raises(MachineError, match=f"no program {name}") as refused:
            schedule.plan(project, neither, kind, install=True)
        assert f"--kind {other}" in (refused.value.fix or "")


@pytest.mark.parametrize(("first", "second"), [("cron", "systemd"), ("systemd", "cron")])
def test_jobs_that_one_scheduler_has_are_not_given_to_the_other(
    project: Schedule, machine: Schedulers, first: str, second: str
) -> None:
    done(project, machine, first)
    with pytest.raises(UsageError, match=f"the jobs are with {first} already"):
        done(project, machine, second)
    done(project, machine, first, install=False)
    assert done(project, machine, second) != ""


def test_the_path_of_the_jobs_is_where_their_programs_are_found(tmp_path: Path) -> None:
    program(tmp_path / "one/make", "#!/bin/sh\n")
    program(tmp_path / "two/git", "#!/bin/sh\n")
    path = f"{tmp_path / 'other'}:{tmp_path / 'two'}:{tmp_path / 'one'}"
    found = schedule.search_path({"PATH": path}).split(":")
    assert found == [str(tmp_path / "one"), str(tmp_path / "two"), "/usr/local/bin", "/usr/bin", "/bin"]


def run_command(machine: Schedulers, *words: str) -> subprocess.CompletedProcess[str]:
    bin_folder = Path(machine.crontab or "").parent
    environ = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(bin_folder), "LOG_DIR": str(bin_folder / "logs")}
    return typed("schedule", *words, cwd=ROOT, **environ)


def test_the_command_prints_installs_and_removes_and_a_dry_run_changes_nothing(machine: Schedulers) -> None:
    printed = run_command(machine, "--hour", "3")
    assert printed.stdout.splitlines()[0] == f"# >>> boathouse {ROOT} >>>"
    assert not table(machine).exists()
    dry = run_command(machine, "--install", "--hour", "3", "--dry-run")
    assert not table(machine).exists()
    installed = run_command(machine, "--install", "--hour", "3")
    assert installed.stdout == dry.stdout == "crontab\n" + "".join(f"+{line}\n" for line in printed.stdout.splitlines())
    assert table(machine).read_text(encoding="utf-8") == printed.stdout
    assert run_command(machine, "--install", "--hour", "3").stdout == "0 changed\n"
    assert run_command(machine, "--remove").returncode == 0
    assert not table(machine).exists()


def test_a_plan_says_each_place_and_what_comes_and_goes_there() -> None:
    changes = [
        ScheduleChange("a", "1\n--2\n", "1\n3\n"),
        ScheduleChange("b", "x\n", "x\n"),
        ScheduleChange("c", "", "y\n"),
    ]
    assert schedule.differences(changes) == "a\n---2\n+3\nc\n+y"


def test_the_next_start_of_a_job_is_in_the_machines_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        times = jobs.times(2)
        nexts = {name: start.next_after(NOON).isoformat() for name, start in times.items()}
        assert nexts == {
            "hourly": "2026-11-21T12:30:00+00:00",
            "daily": "2026-11-22T01:00:00+00:00",
            "weekly": "2026-11-22T03:00:00+00:00",
        }
        assert times["weekly"].next_after(NOON + timedelta(days=1)).isoformat() == "2026-11-29T03:00:00+00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("kind", [schedule.CRON, schedule.SYSTEMD])
def test_what_is_installed_says_when_each_job_starts(tmp_path: Path, kind: str) -> None:
    here = Schedule(tmp_path / ODD, tmp_path / "cron.log", "/usr/bin:/bin", 5, CLONE)
    units = tmp_path / "units"
    units.mkdir()
    for name, unit in timers.units(here.root, here.path, here.hour, here.call).items() if kind == "systemd" else ():
        (units / name).write_text(unit)
    crontab = tmp_path / "crontab"
    crontab.write_text(CRONTAB)
    crontab.chmod(0o755)
    elsewhere = cron.block(tmp_path / "other", here.log, here.path, 7, CLONE)
    own = schedule.text(here, schedule.CRON) if kind == "cron" else ""
    Path(f"{crontab}.table").write_text(f"0 1 * * * true\n{elsewhere}{own}")
    there = Schedulers(str(crontab), None, units)
    assert schedule.installed(here.root, there) == jobs.times(5)
    assert schedule.installed(tmp_path, there) == {}
