"""Costs by day and by table, from the records of runs: `ops.cost_daily`, and from it `ops.cost_trend`; `ops.savings`.

Processor seconds are priced row by row and storage once for each table and day; each of these is rounded to a
thousand-millionth, once, and all sums are exact: the tables of a domain add up to it, and the domains to the whole.

What a table weighs holds until it is measured again: also on days without a run, and however many runs a day has, of
which the last counts. Clocks do not decide which that is, the numbers of the records do. A day of storage costs the
price of a month divided by the days of its month.
"""

from __future__ import annotations

from src.views.view import View, over

_ID = (
    "CASE layer WHEN 'run' THEN 'run' WHEN 'ops' THEN 'ops.' || \"table\" "
    "ELSE concat_ws('.', layer, domain, \"table\") END"
)
_MONEY = "DECIMAL(18,9)"


def daily(today: str) -> str:
    """Return the SELECT of costs by day and table, up to a day that is SQL; rows dated later count on their days."""
    return f"""
WITH records AS (SELECT *, {_ID} AS name FROM ops.cost),
spent AS (
    SELECT day, domain, name, currency, sum(cpu_seconds) AS cpu_seconds, sum(wall_seconds) AS wall_seconds,
        max(peak_memory) AS peak_memory, sum(bytes_read) AS bytes_read, sum(bytes_written) AS bytes_written,
        sum(landed_bytes) AS landed_bytes, sum((cpu_seconds * cpu_hour_price / 3600)::{_MONEY}) AS cpu_amount
    FROM records GROUP BY day, domain, name, currency
),
complete AS (
    SELECT number, min(day) OVER (ORDER BY number ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS day
    FROM records WHERE complete
),
measured AS (
    SELECT number, day, domain, name, currency, live_bytes, history_bytes, backup_bytes, gb_month_price,
        min(day) OVER (PARTITION BY name ORDER BY number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next_own
    FROM records WHERE live_bytes IS NOT NULL
),
lasting AS (
    SELECT measured.*, coalesce(least(next_own, complete.day), {today} + 1) AS until
    FROM measured ASOF LEFT JOIN complete ON measured.number < complete.number
),
stored AS (
    SELECT domain, name, currency, live_bytes, history_bytes, backup_bytes, gb_month_price,
        unnest(range(day, until::TIMESTAMP, INTERVAL 1 DAY))::DATE AS day
    FROM lasting
),
priced AS (
    SELECT *, ((live_bytes + history_bytes + backup_bytes) * gb_month_price
        / (1000000000 * day(last_day(day))))::{_MONEY} AS storage_amount
    FROM stored WHERE day <= {today}
)
SELECT day, domain, name AS "table", currency,
    coalesce(cpu_seconds, 0)::DECIMAL(18,6) AS cpu_seconds, coalesce(wall_seconds, 0) AS wall_seconds, peak_memory,
    bytes_read, bytes_written, landed_bytes, live_bytes, history_bytes, backup_bytes,
    coalesce(cpu_amount, 0)::{_MONEY} AS cpu_amount, coalesce(storage_amount, 0)::{_MONEY} AS storage_amount,
    (coalesce(cpu_amount, 0) + coalesce(storage_amount, 0))::{_MONEY} AS amount
FROM spent FULL JOIN priced USING (day, domain, name, currency)
"""


def trend(today: str) -> str:
    """Return the SELECT of the mean day of the last 7 complete ones, beside that of the 28 before, by table.

    Of a lake that is younger the days it has; a table without a row on a day took nothing on it.
    """
    of = "sum({0}) FILTER (day >= {1} - 7)::DOUBLE / nullif(any_value(days), 0) AS {0}"
    before = "sum({0}) FILTER (day < {1} - 7)::DOUBLE / nullif(any_value(days_before), 0) AS {0}_before"
    figures = ["cpu_seconds", "stored_bytes", "amount"]
    sums = ", ".join(form.format(name, today) for name in figures for form in (of, before))
    return f"""
WITH daily AS (
    SELECT *, coalesce(live_bytes, 0) + coalesce(history_bytes, 0) + coalesce(backup_bytes, 0) AS stored_bytes
    FROM ops.cost_daily WHERE day >= {today} - 35 AND day < {today}
),
span AS (
    SELECT least({today} - min(day), 7) AS days, greatest(least({today} - min(day) - 7, 28), 0) AS days_before
    FROM daily
)
SELECT domain, "table", currency, any_value(days) AS days, any_value(days_before) AS days_before, {sums}
FROM daily CROSS JOIN span GROUP BY domain, "table", currency
"""


_NEWEST_SAVINGS = "SELECT * FROM ops.savings_log QUALIFY row_number() OVER (PARTITION BY id ORDER BY number DESC) = 1"

VIEWS = (
    View(
        "ops.cost_daily",
        "A table on a day: what its steps took, what it weighs, and what both cost.",
        over("ops.cost", sql=daily("current_date")),
    ),
    View(
        "ops.cost_trend",
        "A table: its mean day of the last 7 complete ones, beside that of the 28 before.",
        over("ops.cost_daily", sql=trend("current_date")),
    ),
    View(
        "ops.savings",
        "A thing that would save, with its evidence, and what became of it: active, done or dismissed.",
        over("ops.savings_log", sql=_NEWEST_SAVINGS),
    ),
)
