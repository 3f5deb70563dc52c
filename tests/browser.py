"""A page that is served, and a browser before it: what tests of the screens share.

`site` is a page of a project of the sample company: three days of it, then a feed that cannot be taken, a rejected row
with markup in it, and a contract's description with markup; so the screens have something to show. It is the same for
all tests of a worker: who changes the lake takes a page of his own with `served`.

    def test_a_tables_screen_names_its_key(site: Served, tab: Tab) -> None:
        tab.open("/table/silver.sales.order_lines")
        assert tab.page.get_by_text("order_id").count()

`tab` fails the test at its end if the browser said a word: an error of the console (what the page's own policy refuses
is one), a dialog, a request to elsewhere. `tab.look_at(path)` looks at a screen at a desk, light, and on a phone, dark:
no violation that axe-core knows of, no sideways scrolling. Every screen is looked at so by tests/test_page_screens.py:
put the addresses of a new one into EXAMPLES; {run} is the id of the last run. Without a browser at /usr/bin/chromium
these tests are skipped.

To look with your own eyes: `.venv/bin/python -m tests.browser FOLDER` writes every example as PNG.
"""

from __future__ import annotations

import http.client
import importlib.util
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from conftest import ROOT, Lake  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

CHROMIUM = Path("/usr/bin/chromium")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDE, PHONE = (1440, 900), (390, 844)
MARKUP = "<script>alert('markup')</script>"
# Addresses of the sample company's page that show each screen of src/page/screens, by the screen's file.
EXPLAINED = "/explain?table=gold.kpi.dim_apps&key=app_id=harbor"
EXAMPLES: dict[str, tuple[str, ...]] = {
    "backfill": ("/backfill", "/confirm"),
    "diff": ("/diff", "/diff?after={run}"),
    "explain": (EXPLAINED, f"{EXPLAINED}&all=1"),
    "feeds": ("/feeds",),
    "quarantine": ("/quarantine",),
    "sql": ("/sql",),
    "actions": (),  # it has no screen
    "home": ("/",),
    "mart": ("/marts", "/mart/sales", "/mart/sales/daily_revenue"),
    "notebook": (),  # it is marimo's
    "models": ("/models",),
    "plan": ("/plan",),
    "lineage": ("/lineage",),
    "runs": ("/runs", "/run/{run}"),
    "table": ("/table/silver.sales.order_lines", "/table/gold.sales.daily_revenue"),
}

needs_browser = pytest.mark.skipif(
    not CHROMIUM.exists() or importlib.util.find_spec("playwright") is None,
    reason=f"no browser: ./setup.sh --dev brings playwright, and `apt-get install chromium` {CHROMIUM}",
)


# -- a page that is served


@dataclass(frozen=True)
class Answer:
    """What the server answered to a bare request."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Served:
    """A page that is being served: its lake, its address without the key, and the key."""

    lake: Lake
    url: str
    key: str
    form_token: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def cookie(self) -> str:
        return f"boathouse-{urlsplit(self.url).port}={self.key}"

    @cached_property
    def last_run(self) -> str:
        """The id of the last run."""
        return str(self.lake.rows("SELECT max(run_id) FROM ops.pipeline_runs WHERE layer = 'run'")[0][0])

    def ask(self, method: str, path: str, body: str | bytes = b"", **headers: str | None) -> Answer:
        """Send a request as no browser would; headers are named with underscores, and None leaves one out.

        Without a word it has the page's Host and cookie; a POST also its Origin and the type of a form.
        """
        body = body.encode() if isinstance(body, str) else body
        sent: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie}
        if method == "POST":
            kind = "application/x-www-form-urlencoded"
            sent |= {"Origin": self.url.rstrip("/"), "Content-Type": kind, "Content-Length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read().decode(errors="replace"))
        finally:
            connection.close()


@contextmanager
def served(lake: Lake) -> Iterator[Served]:
    """Serve the page of a project, at a free port, for the length of a with-block."""
    from src.page import server

    with server.opened(lake.settings, 0) as site:
        thread = threading.Thread(target=site.run)
        thread.start()
        try:
            yield Served(lake, site.url, site.page.access.key, site.page.access.form_token)
        finally:
            site.stop()
            thread.join()


def company(root: Path) -> Lake:
    """Make a project of the sample company in which something is wrong, and run it: three days, then a broken file."""
    for layer in ("silver", "gold", "ml"):
        shutil.copytree(ROOT / "src" / layer, root / "src" / layer, ignore=shutil.ignore_patterns("__pycache__"))
    lake = Lake(root, {"SAMPLE_FEED": "true", "SAMPLE_DAYS": "3"})
    lake.edit("gold/sales/contract.yaml", "Revenue of each day in each country.", f'"Revenue {MARKUP} of each day"')
    assert lake.command("run") == 0
    first = sorted((lake.data / "landing/sales/order_lines").glob("*.csv"))[0]
    header = first.read_text(encoding="utf-8").splitlines()[0]
    row = ",".join([f'"{MARKUP}"'] * len(header.split(",")))
    lake.land("sales/order_lines/markup.csv", f"{header}\n{row}\n")
    lake.land("delivery/shipments/broken.csv", "nothing;of;this\n1;2;3\n")
    lake.command("run")
    lake.command("health")
    return lake


@pytest.fixture(scope="session")
def sample_company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sample company's project, made once for all workers; nobody writes to it."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a worker's
        shared = shared.parent
    root, made = shared / "company", shared / "company-made"
    with FileLock(shared / "company.lock"):
        if not made.exists():
            company(root)
            made.touch()
    return root


@pytest.fixture(scope="session")
def site(sample_company: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page of a copy of the sample company's project."""
    root = tmp_path_factory.mktemp("page") / "company"
    shutil.copytree(sample_company, root)
    with served(Lake(root)) as page:
        yield page


# -- a browser before it


@dataclass
class Tab:
    """A tab of a browser that was let in; `said` has its complaints, `elsewhere` what it asked of others."""

    page: Page
    site: Served
    said: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)

    def open(self, path: str) -> None:
        """Go to an address of the page."""
        self.page.goto(self.site.url.rstrip("/") + path.replace("{run}", self.site.last_run))

    def look_at(self, path: str, *, every: bool = False) -> list[str]:
        """Return what is wrong with a screen at a desk, light, and on a phone, dark; nothing where nothing is.

        `every`: each in the colours of the other too.
        """
        self.open(path)
        return self.look(path, every=every)

    def look(self, path: str, *, every: bool = False) -> list[str]:
        """Return what `look_at` does, of the screen that is shown: the answer of a form has no address."""
        wrong = []
        for (width, height), usual in zip((WIDE, PHONE), SCHEMES, strict=True):
            wrong += self.too_wide(path, width, height)
            for scheme in SCHEMES if every else (usual,):
                self.page.emulate_media(color_scheme=scheme)
                rule = "" if scheme == usual else "color-contrast"
                wrong += [f"{path} at {width}, {scheme}: {one}" for one in self.violations(rule)]
        return wrong

    def too_wide(self, path: str, width: int, height: int) -> list[str]:
        """Return whether one has to scroll the screen that is shown sideways, in a window of this size (px)."""
        self.page.set_viewport_size({"width": width, "height": height})
        over = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return [f"{path} at {width}: {over} px wider than the window"] if over > 0 else []

    def violations(self, rule: str = "") -> list[str]:
        """Return what axe-core finds on the screen that is shown, by every rule or one: the rule, the first place."""
        if not self.page.evaluate("'axe' in window"):  # it stays until another page is opened
            self.page.evaluate(_axe())
        options = {"resultTypes": ["violations"], **({"runOnly": [rule]} if rule else {})}
        found = self.page.evaluate("options => axe.run(options).then(found => found.violations)", options)
        return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found]


@cache
def _axe() -> str:
    from axe_playwright_python.sync_playwright import Axe

    return str(Axe().axe_script)


@pytest.fixture(scope="module")  # while it is open, playwright runs an event loop here, and no test can run another
def chromium() -> Iterator[Browser]:
    """A browser, for all tests of a module."""
    with launched() as browser:
        yield browser


@contextmanager
def launched() -> Iterator[Browser]:
    """Start a browser for the length of a with-block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # without its sandbox it also starts for root, as in a container; it is shown pages of ours alone
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Browser, site: Served) -> Iterator[Tab]:
    """A fresh tab at the page, let in with the key."""
    with tab_of(chromium, site) as opened:
        yield opened


@contextmanager
def tab_of(browser: Browser, site: Served, **options: Any) -> Iterator[Tab]:
    """Open a tab of its own session at a page, and insist at the end that the browser had nothing to say."""
    context = browser.new_context(**options)
    tab = Tab(context.new_page(), site)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            tab.said.append(f"{tab.page.url}: {message.text}")

    def on_dialog(dialog: Dialog) -> None:
        tab.said.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def on_request(request: Request) -> None:
        tab.elsewhere |= {request.url} if urlsplit(request.url).netloc != site.host else set()

    tab.page.on("console", on_console)
    tab.page.on("pageerror", lambda error: tab.said.append(f"{tab.page.url}: {error}"))
    tab.page.on("dialog", on_dialog)
    tab.page.on("request", on_request)
    tab.page.goto(f"{site.url}?key={site.key}")
    tab.page.wait_for_url(site.url)
    yield tab
    context.close()
    assert tab.said == [], "a script of the data ran, or the page broke its own policy"
    assert tab.elsewhere == set(), "something was asked of another server"


def pictures(folder: Path) -> None:
    """Write every example as PNG: at both widths, light and dark."""
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, served(company(Path(made) / "company")) as page, launched() as browser:
        for name, size in (("wide", WIDE), ("phone", PHONE)):
            for scheme in SCHEMES:
                view = {"width": size[0], "height": size[1]}
                with tab_of(browser, page, viewport=view, color_scheme=scheme) as tab:
                    for path in (path for paths in EXAMPLES.values() for path in paths):
                        tab.open(path)
                        file = f"{path.strip('/').replace('/', '-') or 'home'}-{name}-{scheme}.png"
                        tab.page.screenshot(path=folder / file, full_page=True)


if __name__ == "__main__":
    pictures(Path(sys.argv[1]))
