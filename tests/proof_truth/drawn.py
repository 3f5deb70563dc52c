"""Random models: joins of nine kinds, groups, windows, set operations, subqueries and CTEs, one in the other.

Names are shuffled on the way, so that they shadow each other and mislead.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from proof_truth.splice import Model
from proof_truth.tables import COLUMNS
from src.contract import Column
from src.engine import DuckEngine
from src.errors import BoathouseError

DATE, NUMBER, TEXT = "date", "number", "text"
Columns = list[tuple[str, str]]  # name and kind
Query = tuple[str, Columns]


def _kind(type_: str) -> str:
    return DATE if type_ == "DATE" else TEXT if type_ == "VARCHAR" else NUMBER


def draw(random: Random, engine: DuckEngine) -> Model:
    """A model that binds, partitioned by one of its dates; one of three claims a lookback."""
    while True:
        lookback = random.choice([0, 0, 0, 0, 1, 2])
        drawing = _Drawing(random)
        sql, columns = drawing.looking_back() if lookback else drawing.query(random.randrange(1, 5))
        dates = [name for name, kind in columns if kind == DATE]
        if not dates:
            continue
        model = Model(sql, Column(random.choice(dates), "DATE"), lookback)
        try:
            engine.columns(f"SELECT {model.partition.name} FROM ({sql.replace('silver.shop.', 'shop_new.')})")
        except BoathouseError:
            continue
        return model


class _Drawing:
    """One model as it is drawn, from the outside in."""

    def __init__(self, random: Random, innermost: Query | None = None) -> None:
        self._random, self._innermost, self._aliases = random, innermost, 0

    def query(self, depth: int) -> Query:
        """A SELECT and its columns, of so many SELECTs in each other."""
        if depth <= 0 or self._random.random() < 0.12:
            return self._table()
        rare = [self._project, self._where, self._distinct, self._window, self._set_operation, self._limit]
        rare += [self._subquery, self._cte, self._lateral, self._grouping_sets, self._lagged, self._shifted]
        return self._random.choice([*rare, *[self._group] * 2, *[self._join] * 3])(depth)

    def looking_back(self) -> Query:
        """A SELECT over few tables that reads dates before its own, maybe in another of its kind."""
        made = self._random.choice([self._lagged, self._lagged, self._shifted])(self._random.choice([1, 1, 2]))
        if self._random.random() < 0.6:
            return made
        outer = _Drawing(self._random, made)
        return self._random.choice([outer._lagged, outer._shifted, outer._join, outer._where, outer._group])(1)

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def _pick(self, columns: Columns, kind: str) -> str | None:
        return self._random.choice([name for name, other in columns if other == kind] or [None])

    def _pairs(self, left: Columns, right: Columns) -> list[tuple[str, str]]:
        return [(one, two) for one, kind in left for two, other in right if kind == other]

    def _equated(self, a: str, b: str, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """Up to two equalities between the columns of two tables."""
        chosen = self._random.sample(pairs, min(len(pairs), self._random.randrange(0, 3)))
        return [f"{a}.{one} = {b}.{two}" for one, two in chosen]

    def _table(self) -> Query:
        if self._innermost:
            return self._innermost
        table = self._random.choice(["orders"] * 4 + ["returns"] * 2 + ["parcels", "calendar", "rates"])
        columns = [(name, _kind(type_)) for name, type_ in COLUMNS[table].items() if name != "moment"]
        if table == "orders" and self._random.random() < 0.2:
            day = "SELECT * EXCLUDE (moment) REPLACE (cast(moment AS date) AS day)"
            return f"{day} FROM silver.shop.orders", columns
        return f"SELECT * FROM silver.shop.{table}", columns

    def _project(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        dates = [name for name, kind in columns if kind == DATE]
        names = self._random.sample(["day", "sent", "d"], self._random.randrange(1, 3)) if dates else []
        made = [(self._date(self._random.choice(dates)), name, DATE) for name in names]
        made += [
            (name, name, kind)
            for name, kind in columns
            if kind != DATE and name not in names and self._random.random() < 0.8
        ]
        return self._selected(made, sql) if made else (sql, columns)

    def _date(self, date: str) -> str:
        truncated = [f"cast(date_trunc('{unit}', {date}) AS date)" for unit in ("month", "week")]
        return self._random.choice([date] * 3 + truncated + [f"{date} + 1", f"coalesce({date}, DATE '2031-01-30')"])

    def _selected(self, made: list[tuple[str, str, str]], sql: str, rest: str = "") -> Query:
        shown = ", ".join(f"{expression} AS {name}" for expression, name, _ in made)
        return f"SELECT {shown} FROM ({sql}) {self._alias()}{rest}", [(name, kind) for _, name, kind in made]

    def _where(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        dates = [name for name, kind in columns if kind == DATE]
        if len(dates) > 1 and self._random.random() < 0.3:
            condition = f"{dates[0]} = {dates[1]}"
        else:
            condition = self._condition(columns)
        return f"SELECT * FROM ({sql}) {self._alias()} WHERE {condition}", columns

    def _condition(self, columns: Columns) -> str:
        date, number, text = (self._pick(columns, kind) for kind in (DATE, NUMBER, TEXT))
        found = [f"{number} > 2"] * bool(number) + [f"{text} = 'u'"] * bool(text)
        if date:
            found += [f"{date} IS NOT NULL", f"{date} >= DATE '2031-01-29'", f"{date} = DATE '2031-01-30'"]
        return self._random.choice(found or ["true"])

    def _group(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        keys = [(name, kind) for name, kind in columns if self._random.random() < 0.5 and name != "c"]
        made = [(name, name, kind) for name, kind in keys]
        for name, kind in columns:
            if (name, kind) not in keys and kind == DATE and self._random.random() < 0.7:
                made.append((f"{self._random.choice(['min', 'max'])}({name})", name, kind))
        made.append(("count(*)", "c", NUMBER))
        having = self._random.choice(["", "", " HAVING count(*) > 1"])
        if self._random.random() < 0.3:
            return self._selected(made, sql, f" GROUP BY ALL{having}")
        by = f" GROUP BY {', '.join(name for name, _ in keys)}" if keys else ""
        return self._selected(made, sql, by + having)

    def _distinct(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        kept = [column for column in columns if self._random.random() < 0.6] or columns[:1]
        if self._random.random() < 0.4:
            return f"SELECT DISTINCT ON ({kept[0][0]}) * FROM ({sql}) {self._alias()} ORDER BY ALL", columns
        return f"SELECT DISTINCT {', '.join(name for name, _ in kept)} FROM ({sql}) {self._alias()}", kept

    def _window(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        names = [name for name, _ in columns if name != "w"]
        self._random.shuffle(names)
        by = names[: self._random.randrange(0, 3)]
        order = ", ".join(names + (["w"] if "w" in dict(columns) else []))
        over = f"({'PARTITION BY ' + ', '.join(by) if by else ''} ORDER BY {order})"
        if self._random.random() < 0.3:
            return f"SELECT * FROM ({sql}) {self._alias()} QUALIFY row_number() OVER {over} = 1", columns
        made = [(name, name, kind) for name, kind in columns if name != "w"]
        return self._selected([*made, (f"row_number() OVER {over}", "w", NUMBER)], sql)

    def _join(self, depth: int) -> Query:
        (one, left), (two, right) = self.query(depth - 1), self.query(depth - 2)
        a, b = self._alias(), self._alias()
        kind = self._random.choice(
            ["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN", "ASOF LEFT JOIN"]
        )
        shared = [name for name, of in left if (name, of) in right]
        using: list[str] = []
        if shared and self._random.random() < 0.35:
            using = [name for name in shared if self._random.random() < 0.6] or shared[:1]
            self._random.shuffle(using)  # an as-of join takes the nearest by the last
            on = f"USING ({', '.join(using)})"
        else:
            kind, on = self._on(kind, a, left, b, right)
        own, other = {name for name, _ in left}, {name for name, _ in right}
        filters = kind in ("SEMI JOIN", "ANTI JOIN")
        columns = left if filters else left + [(name, of) for name, of in right if name not in own]
        made = [(name if name in using else f"{a if name in own else b}.{name}", name, of) for name, of in columns]
        if not filters and self._random.random() < 0.3:  # the other side's column under the name of this one's
            made = [
                (f"{b}.{name}" if name in other and name not in using else shown, name, of) for shown, name, of in made
            ]
        shown = ", ".join(f"{expression} AS {name}" for expression, name, _ in made)
        return f"SELECT {shown} FROM ({one}) {a} {kind} ({two}) {b} {on}", columns

    def _on(self, kind: str, a: str, left: Columns, b: str, right: Columns) -> tuple[str, str]:
        """A condition of a join, and the kind of join that can have it."""
        pairs = self._equated(a, b, self._pairs(left, right))
        one, two = self._pick(left, DATE), self._pick(right, DATE)
        if one and two and self._random.random() < 0.5:
            pairs.append(f"{a}.{one} {'>=' if 'ASOF' in kind else '='} {b}.{two}")
        if "ASOF" in kind and not any(">=" in pair for pair in pairs):
            kind = "LEFT JOIN"
        return kind, "ON " + (" AND ".join(pairs) or "true")

    def _set_operation(self, depth: int) -> Query:
        (one, left), (two, right) = self.query(depth - 1), self.query(depth - 1)
        columns: Columns = []
        others: list[str] = []
        for name, kind in left:
            other = self._pick([column for column in right if column[0] not in others], kind)
            if other:
                columns.append((name, kind))
                others.append(other)
        if not columns:
            return one, left
        word = self._random.choice(["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"])
        first = f"SELECT {', '.join(name for name, _ in columns)} FROM ({one}) {self._alias()}"
        return f"({first}) {word} (SELECT {', '.join(others)} FROM ({two}) {self._alias()})", columns

    def _limit(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        if self._random.random() < 0.5:
            return sql, columns
        return f"SELECT * FROM ({sql}) {self._alias()} ORDER BY ALL LIMIT 4", columns

    def _subquery(self, depth: int) -> Query:
        (one, left), (two, right) = self.query(depth - 1), self.query(depth - 2)
        a, b = self._alias(), self._alias()
        same = self._pairs(left, right)
        where = " AND ".join(self._equated(a, b, same)) or "true"
        negated = self._random.choice(["", "NOT "])
        tests = [f"{negated}EXISTS (SELECT 1 FROM ({two}) {b} WHERE {where})"]
        tests.append(f"(SELECT count(*) FROM ({two}) {b} WHERE {where}) > 1")
        if same:
            name, other = self._random.choice(same)
            rows = self._random.choice(["", f" WHERE {where}"])
            tests += [f"{a}.{name} {word}IN (SELECT {other} FROM ({two}) {b}{rows})" for word in ("", negated)]
        return f"SELECT * FROM ({one}) {a} WHERE {self._random.choice(tests)}", left

    def _lateral(self, depth: int) -> Query:
        (one, left), (two, right) = self.query(depth - 1), self.query(depth - 2)
        a, b, c = self._alias(), self._alias(), self._alias()
        where = " AND ".join(self._equated(a, b, self._pairs(left, right))) or "true"
        most = self._pick(right, DATE) or right[0][0]
        made = self._random.choice(["count(*)", "count(*)", f"count({b}.{most})"])
        join = self._random.choice(["CROSS JOIN LATERAL", "LEFT JOIN LATERAL"])
        on = " ON true" if "LEFT" in join else ""
        of_each = f"SELECT {made} AS n FROM ({two}) {b} WHERE {where}"
        kept = [(name, kind) for name, kind in left if name != "n"]
        shown = ", ".join(f"{a}.{name}" for name, _ in kept)
        return f"SELECT {shown}, {c}.n FROM ({one}) {a} {join} ({of_each}) {c}{on}", [*kept, ("n", NUMBER)]

    def _grouping_sets(self, depth: int) -> Query:
        sql, columns = self.query(depth - 1)
        keys = [(name, kind) for name, kind in columns if name != "c"][:3]
        chosen = [[name for name, _ in keys if self._random.random() < 0.7] for _ in range(2)]
        sets = ", ".join(f"({', '.join(names)})" for names in chosen)
        made = [(name, name, kind) for name, kind in keys if any(name in names for names in chosen)]
        return self._selected([*made, ("count(*)", "c", NUMBER)], sql, f" GROUP BY GROUPING SETS ({sets})")

    def _lagged(self, depth: int) -> Query:
        """One row per date, and what the dates before it have."""
        sql, columns = self.query(depth - 1)
        date = self._pick(columns, DATE)
        if not date:
            return sql, columns
        before = self._random.choice(["lag(count(*)) OVER ({})", "lag(count(*), 2) OVER ({})"])
        if self._random.random() < 0.4:
            before = "sum(count(*)) OVER ({} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
        where = self._random.choice(["", "", f" WHERE {date} IS NOT NULL"])
        made = [(date, date, DATE), (before.format(f"ORDER BY {date}"), "w", NUMBER), ("count(*)", "c", NUMBER)]
        return self._selected(made, sql, f"{where} GROUP BY {date}")

    def _shifted(self, depth: int) -> Query:
        """Rows, and what there is of a date some days before theirs."""
        (one, left), (two, right) = self.query(depth - 1), self.query(depth - 2)
        a, b = self._alias(), self._alias()
        date, other = self._pick(left, DATE), self._pick(right, DATE)
        if not date or not other:
            return one, left
        days = self._random.choice(["1", "2", "INTERVAL 1 DAY", "INTERVAL 2 DAY", "INTERVAL (-1) DAY"])
        of_each = f"SELECT {other} AS y, count(*) AS z FROM ({two}) {self._alias()} GROUP BY 1"
        kept = [(name, kind) for name, kind in left if name != "z"]
        shown = ", ".join(f"{a}.{name}" for name, _ in kept)
        on = f"{b}.y = cast({a}.{date} - {days} AS date)"
        return f"SELECT {shown}, {b}.z FROM ({one}) {a} LEFT JOIN ({of_each}) {b} ON {on}", [*kept, ("z", NUMBER)]

    def _cte(self, depth: int) -> Query:
        (one, left), a, b, c = self.query(depth - 1), self._alias(), self._alias(), self._alias()
        name, _ = self._random.choice(left)
        most = self._pick(left, DATE) or name
        of_each = f"SELECT {name} AS y, max({most}) AS z FROM {c} GROUP BY 1"
        sql = f"WITH {c} AS ({one}) SELECT {a}.*, z FROM {c} {a} JOIN ({of_each}) {b} ON {a}.{name} = {b}.y"
        return (sql, left) if "z" in dict(left) else (sql, [*left, ("z", dict(left)[most])])
