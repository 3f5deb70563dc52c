"""Models on the page: which version is in use, what is wrong with it, and its figures."""

from __future__ import annotations

import ml_lake
from conftest import Lake
from ml_versions import MONDAY, version
from page_site import opened

from src.ml.versions import Status


def test_the_screen_shows_each_model_with_its_problems_versions_and_figures(lake: Lake) -> None:
    ml_lake.filled(lake, ml_lake.late, trained_at=MONDAY.replace(year=2024))
    ml_lake.train(lake, version(2, Status.CANDIDATE, name="post.late", why="brier <b>0.2</b>", trained_at=MONDAY))
    site = opened(lake)
    try:
        text = site.get("/models").text
    finally:
        site.page.look.close()
    assert "<h1>1 model of machine learning</h1>" in text
    assert "version 1 in use since 2026-11-02; 1 version trained since, none promoted" in text
    assert "brier &lt;b&gt;0.2&lt;/b&gt;" in text and "<b>0.2" not in text
    assert '<a href="/table/gold.post.risk">gold.post.risk</a> · post-office answers for it' in text
    assert '<td class="n">2</td><td>CANDIDATE</td>' in text
    titles = ("Versions, judged on rows held out from training", "Features, against the rows it was trained on")
    assert all(f"<h3>{title}</h3>" in text for title in titles)


def test_without_a_model_the_screen_says_where_one_is_declared(lake: Lake) -> None:
    site = opened(lake.shop())
    try:
        assert "No contract declares a model; <code>docs/ml.md</code> says how one does." in site.get("/models").text
    finally:
        site.page.look.close()
