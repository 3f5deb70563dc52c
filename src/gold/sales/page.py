"""The revenue of some countries by month: a notebook beside the mart's screen, to copy and to change.

`make page` shows it at /notebook/sales, once `./setup.sh --notebook` was typed; to write: `.venv/bin/marimo edit`.
"""

import marimo

app = marimo.App(width="medium", app_title="Revenue by country")


@app.cell
def _():
    import marimo as mo
    import polars as pl

    # as the last run built it, whether or not it was released; `data` is the folder of DATA_DIR
    revenue = pl.read_delta(str(mo.notebook_dir().parents[2] / "data/gold/sales/daily_revenue"))
    return mo, pl, revenue


@app.cell
def _(mo, revenue):
    known = sorted(revenue["country"].unique())
    countries = mo.ui.multiselect(known, value=known[:3], label="Countries")
    mo.vstack([mo.md("# Revenue by country"), countries])
    return (countries,)


@app.cell
def _(countries, mo, pl, revenue):
    monthly = (
        revenue.filter(pl.col("country").is_in(countries.value))
        .group_by("order_month", "country")
        .agg(pl.col("net_revenue").sum(), pl.col("orders").sum())
        .sort("order_month", "country")
    )
    mo.ui.table(monthly.to_dicts(), selection=None)
    return


if __name__ == "__main__":
    app.run()
