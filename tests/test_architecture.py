"""The project's order: what may import what, where each library lives, and what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter

from conftest import ROOT

from src.gold.computation import Computation
from src.silver.batch import Batch

# Imports go one way: a part may import those above it, never one beside or below it.
ORDER = [
    ["errors", "stopping"],
    ["logger"],
    ["console", "problems", "store"],
    ["settings", "views", "author", "spool"],
    ["contract", "remote", "permissions"],
    ["lake"],
    ["engine"],
    ["checks", "proof", "spread", "exports", "records"],
    ["reads"],
    ["catalog"],
    ["project"],
    ["selection", "origins", "landing_zone"],
    ["masking"],
    ["landing", "bronze", "silver", "gold"],
    ["ml"],
    ["workers"],
    ["run", "model_tests", "draft"],
    ["branches"],
    ["monitors", "maintenance", "preview", "explain", "lineage"],
    ["forget"],
    ["causes"],
    ["alerts"],
    ["facts"],
    ["report", "documents", "init"],
    ["page"],
    ["commands"],
    ["main"],
]
# What stands beside the order, and what it may import.
APART = {"demo": {"errors", "store"}}

AT_ONCE, WHEN_USED = "at once", "when used"
# One library, one home: where each may be imported, and when. A run with nothing to do is mostly imports.
HOMES: dict[str, tuple[list[str], str]] = {
    "deltalake": (["src/lake/"], WHEN_USED),
    "arro3": (["src/lake/"], WHEN_USED),
    "duckdb": (["src/engine/"], WHEN_USED),
    "_duckdb": (["src/engine/"], WHEN_USED),
    "polars": (["src/gold/", "src/demo/", "src/ml/"], WHEN_USED),
    "pyarrow": (["src/bronze/readers", "src/forget/"], WHEN_USED),
    "fastavro": (["src/bronze/readers/avro.py", "src/forget/"], WHEN_USED),
    "fastexcel": (["src/bronze/workbooks/"], WHEN_USED),
    "python_calamine": (["src/bronze/workbooks/"], WHEN_USED),
    "xlsxwriter": (["src/demo/", "src/exports.py"], WHEN_USED),
    "loguru": (["src/logger.py", "src/run/logs.py"], WHEN_USED),
    "rich": (["src/console.py"], WHEN_USED),
    "filelock": (["src/run/lock.py"], WHEN_USED),
    "apprise": (["src/alerts/messages.py"], WHEN_USED),
    "jsonschema": (["src/contract/"], WHEN_USED),
    "jsonschema_rs": (["src/contract/"], WHEN_USED),
    "yaml": (["src/contract/", "src/model_tests/"], WHEN_USED),
    "open_data_contract_standard": (["src/contract/"], WHEN_USED),
    "requests": (["src/landing/"], WHEN_USED),
    "tenacity": (["src/landing/"], WHEN_USED),
    "psycopg": (["src/landing/connectors/"], WHEN_USED),
    "pymysql": (["src/landing/connectors/"], WHEN_USED),
    "pymssql": (["src/landing/connectors/"], WHEN_USED),
    "google": (["src/landing/connectors/"], WHEN_USED),
    "jwt": (["src/landing/connectors/"], WHEN_USED),
    "starlette": (["src/page/"], AT_ONCE),
    "anyio": (["src/page/app.py"], AT_ONCE),
    "jinja2": (["src/page/"], AT_ONCE),
    "markupsafe": (["src/page/"], AT_ONCE),
    "uvicorn": (["src/page/server.py", "src/page/notebooks.py"], AT_ONCE),
    "marimo": (["src/page/notebooks.py"], WHEN_USED),
    "sklearn": (["src/ml/"], WHEN_USED),
    "skops": (["src/ml/"], WHEN_USED),
    "numpy": (["src/ml/"], WHEN_USED),
    "threadpoolctl": (["src/ml/"], WHEN_USED),
    "pyspark": (["src/workers/spark.py"], WHEN_USED),
    "fsspec": (["src/store/objects.py"], AT_ONCE),
    "s3fs": (["src/store/objects.py"], AT_ONCE),
    "upath": (["src/store/objects.py"], AT_ONCE),
    "botocore": (["src/store/objects.py"], AT_ONCE),
    "openlineage": (["src/lineage/events.py"], WHEN_USED),
    "dotenv": (["src/settings.py"], WHEN_USED),
}
# Libraries whose package has another name.
PACKAGES = {
    "_duckdb": "duckdb",
    "arro3": "arro3-core",
    "dotenv": "python-dotenv",
    "google": "google-cloud-bigquery",
    "jwt": "pyjwt",
    "openlineage": "openlineage-python",
    "sklearn": "scikit-learn",
    "upath": "universal-pathlib",
    "yaml": "pyyaml",
}
# The heading of requirements.txt below which stands what nothing imports by name, each with its reason.
UNSAID = "# Needed at run time, unsaid"


def parsed(pattern: str) -> dict[str, ast.Module]:
    """The Python files of the project that fit a pattern, by their path."""
    paths = sorted(ROOT.glob(pattern))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"), path) for path in paths}


@cache  # for each test that asks: parsed as this file is imported, every worker of a run would wait for it
def sources() -> dict[str, ast.Module]:
    """The project's own files, but for notebooks: they are pages of a project, and import what they like."""
    trees = parsed("src/**/*.py") | parsed("main.py")
    return {name: tree for name, tree in trees.items() if not re.fullmatch(r"src/gold/\w+/page.py", name)}


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """A tree's nodes: every test walks every file."""
    return tuple(ast.walk(tree))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere below a node, `from src import lake` as src.lake."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "imports name the whole module"
            yield node.module
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in below if is_module(name))


@cache
def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports_at_once(tree: ast.Module) -> set[str]:
    """What is imported as soon as the module is: not in functions, not for the type checker alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update(imports(node))
        waiting += ast.iter_child_nodes(node)
    return found


def part_of(name: str) -> str:
    """The part of the project that a module name or file belongs to: src.bronze.ingest to bronze."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    return parts[1] if parts[0] == "src" else parts[0]


def libraries(names: Iterable[str]) -> set[str]:
    return {top for name in names if (top := name.split(".")[0]) not in sys.stdlib_module_names | {"src", "main"}}


def may_import(part: str) -> set[str]:
    if part in APART:
        return APART[part] | {part}
    place = next((at for at, parts in enumerate(ORDER) if part in parts), None)
    assert place is not None, f"{part} has no place yet: give it one in ORDER"
    allowed = {above for parts in ORDER[:place] for above in parts} | {part}
    return allowed | set(APART) if part == "commands" else allowed


def test_imports_go_one_way() -> None:
    wrong = []
    for name, tree in sources().items():
        wanted = {part_of(module) for module in imports(tree) if module.startswith(("src.", "main"))}
        wrong += [f"{name} imports {part}" for part in wanted if part not in may_import(part_of(name))]
    assert wrong == []


def test_no_module_imports_itself_through_others() -> None:
    graph = {}
    for file, tree in sources().items():
        name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        package = name.rpartition(".")[0]  # naming one's own package for a module in it is no circle
        graph[name] = {module for module in imports_at_once(tree) if module.startswith("src.")} - {package}
    TopologicalSorter(graph).prepare()


def test_a_library_is_imported_in_its_home_alone() -> None:
    wrong = []
    for name, tree in sources().items():
        for library in libraries(imports(tree)):
            homes, _ = HOMES.get(library, (["no home yet"], WHEN_USED))
            if not name.startswith(tuple(homes)):
                wrong.append(f"{name} imports {library}, which lives in {' or '.join(homes)}")
    assert wrong == []


def test_a_library_is_loaded_when_it_is_used() -> None:
    early = {(name, library) for name, tree in sources().items() for library in libraries(imports_at_once(tree))}
    assert {(name, library) for name, library in early if HOMES[library][1] == WHEN_USED} == set()


def test_starting_loads_no_library_that_is_loaded_when_used() -> None:
    code = "import sys, main; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    late = {library for library, (_, when) in HOMES.items() if when == WHEN_USED}
    assert late & set(ran.stdout.split()) == set()


def test_a_module_opens_with_its_law() -> None:
    assert [name for name, tree in sources().items() if not ast.get_docstring(tree)] == []


def test_no_module_is_a_drawer_for_the_rest() -> None:
    assert [name for name in sources() if re.search(r"util|helper|common|misc", name)] == []


# -- the field's words

# Private words and what they were said for: settings, node, argv, args, path, failed, error, from scratch, fix, ...
PRIVATE = {"told", "said", "ill", "anew", "mend", "mends", "mended", "fault", "faults", "upkeep", "house"}
ALONE = {"words", "place", "twice", "this"}  # private as a whole name: as a part of one they may be right
NAMELESS = {"a", "of", "at", "t"}  # as the name of a function: it saves typing once and costs reading every time
# A docstring opens with a verb: these open one that names a thing, or asks a question.
NO_VERB = re.compile(r"(The|A|An|Its|Every|All|Each|What|Whether|How|Why|Which|Who|Of|That|When|Where|In|None)\b")
RIDDLE = re.compile(r"(What|Whether|How|Why|Which|Who|Of|That|When|Where|In)\b")


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module gives or uses, but for those of modules and of what it calls by keyword."""
    for node in nodes(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def functions(tree: ast.AST, public: bool = True) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """Yield the functions and methods of a module or class, and whether each is public."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield node, public and not node.name.startswith("_")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, public and not node.name.startswith("_"))


def test_names_are_the_fields_words() -> None:
    used = {(name, word) for name, tree in sources().items() for word in identifiers(tree)}
    assert {(name, word) for name, word in used if word in ALONE or PRIVATE & set(word.lower().split("_"))} == set()
    made = {(name, function.name) for name, tree in sources().items() for function, _ in functions(tree)}
    assert {(name, word) for name, word in made if word.lstrip("_") in NAMELESS} == set()


def test_every_public_function_has_a_docstring() -> None:
    bare = [
        f"{name}: {function.name}"
        for name, tree in sources().items()
        for function, public in functions(tree)
        if public and not ast.get_docstring(function)
    ]
    # of a command the module says it: its first line is the command's help
    assert [one for one in bare if not re.fullmatch(r"src/commands/\w+\.py: (arguments|run)", one)] == []


def test_a_docstring_opens_with_what_a_function_returns_or_does() -> None:
    opening = [
        (name, function.name, ast.get_docstring(function) or "")
        for name, tree in sources().items()
        for function, _ in functions(tree)
    ]
    assert [(name, function) for name, function, text in opening if NO_VERB.match(text)] == []
    classes = [
        (name, node.name, ast.get_docstring(node) or "")
        for name, tree in sources().items()
        for node in nodes(tree)
        if isinstance(node, ast.ClassDef)
    ]
    assert [(name, kind) for name, kind, text in classes if RIDDLE.match(text)] == []


# -- requirements.txt, and the optional ones

OPTIONAL = tuple(
    f"requirements-{name}.txt" for name in ("connectors", "page", "notebook", "ml", "spark", "s3", "lineage")
)


def required() -> tuple[set[str], set[str]]:
    """The packages of the requirement files: those the code imports, and those below the heading UNSAID."""
    said, unsaid = set[str](), set[str]()
    into = said
    for line in (line for file in ("requirements.txt", *OPTIONAL) for line in (ROOT / file).read_text().splitlines()):
        if line.startswith("#"):
            into = unsaid if line == UNSAID else said
        elif line:
            pinned = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?==[\w.]+ +# .+", line)
            assert pinned, f"{line} is not package==version  # reason"
            into.add(pinned[1].lower())
    return said, unsaid


def packages_of(names: Iterable[str]) -> set[str]:
    """The packages that imports come from."""
    return {PACKAGES.get(library, library.replace("_", "-")) for library in libraries(names)}


def test_every_required_package_is_imported_or_stands_where_its_reason_is_told() -> None:
    trees = sources() | parsed("tests/*.py")
    imported = {package for tree in trees.values() for package in packages_of(imports(tree))}
    said, unsaid = required()
    assert (said - imported, unsaid & imported) == (set(), set())


def test_every_imported_package_is_required_by_name() -> None:
    imported = {package for tree in sources().values() for package in packages_of(imports(tree))}
    assert imported - required()[0] == set()


# -- what no file may say


def test_no_file_names_a_folder_of_one_machine() -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    pattern = re.compile(r"(?<![\w.~/-])(/(home|Users|root|work)/[\w.-]|[A-Z]:\\Users\\)")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


# -- Delta


# What only a reader of the Delta log knows: where it lies, its actions and their fields, the names of its properties.
DELTA = re.compile(r"_delta_log|_last_checkpoint|\btxn\b|appId|commitInfo|metaData|partitionValues|\bdelta\.\w")
ACTIONS = {"add", "remove", "protocol"}
# The one property that a person asks for by its name: where the version of a table's contract is to be found.
ASKED_FOR = {("src/contract/versions.py", "delta.userMetadata")}


def test_delta_is_known_in_the_lake_alone() -> None:
    outside = {file: tree for file, tree in sources().items() if not file.startswith("src/lake/")}
    found = {(file, text) for file, tree in outside.items() for text in texts(tree) if DELTA.search(text)}
    for file, tree in outside.items():
        keys = [node.slice for node in nodes(tree) if isinstance(node, ast.Subscript)]
        found |= {(file, str(key.value)) for key in keys if isinstance(key, ast.Constant) and key.value in ACTIONS}
    assert found == ASKED_FOR


# -- temporary tables


# Where the names of temporary tables stand.
TEMPORARY = {Batch: "src/silver/batch.py", Computation: "src/gold/computation.py"}


def texts(tree: ast.AST) -> Iterator[str]:
    """Every piece of text of the code, without docstrings: of an f-string what stands between its values."""
    told = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def tables_named(tree: ast.AST) -> Iterator[str]:
    """The texts that name a temporary table where it is made: the first argument of `engine.table` and its kind."""
    for node in nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = node.args[0]
            if node.func.attr in ("table", "stream", "view") and isinstance(first, ast.Constant):
                yield str(first.value)


def test_a_temporary_table_is_named_by_its_owner_alone() -> None:
    names = "|".join(name for owner in TEMPORARY for name in owner)
    in_sql = re.compile(rf"(?<!\w)(?:FROM|JOIN|INTO|UPDATE|TABLE|RENAME TO) (?:temp\.)?(?:{names})\b")
    theirs = {
        file: tree
        for file, tree in sources().items()
        if file.startswith(("src/silver/", "src/gold/", "src/maintenance/")) and file not in TEMPORARY.values()
    }
    wrong = [f"{file}: {text}" for file, tree in theirs.items() for text in texts(tree) if in_sql.search(text)]
    wrong += [f"{file}: {text}" for file, tree in theirs.items() for text in tables_named(tree)]
    assert wrong == []


def test_no_two_temporary_tables_share_a_name() -> None:
    names = [name for owner in TEMPORARY for name in owner]
    assert sorted(names) == sorted(set(names))


def test_no_docstring_says_a_paragraph_twice() -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = []
    for name, tree in sources().items():
        for node in (node for node in nodes(tree) if isinstance(node, kinds)):
            paragraphs = [text.strip() for text in (ast.get_docstring(node) or "").split("\n\n")]
            found += [f"{name} {getattr(node, 'name', '')}"] if len(set(paragraphs)) < len(paragraphs) else []
    assert found == []
