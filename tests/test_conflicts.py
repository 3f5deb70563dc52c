"""Rows equal in every column are duplicates; rows of a key that differ, and that nothing orders, are conflicts."""

from __future__ import annotations

from random import Random

import pytest
from conftest import Lake, short

from src.run.runs import Record, Run

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: silver.nx.t
version: 1.0.0
status: active
servers: [{server: t, type: local, path: "nx/t/*.csv", format: csv}]
schema:
  - name: t
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: v, logicalType: string}
      - {name: at, logicalType: integer}
    customProperties:
      - {property: maxRejected, value: 100 %}
"""
HEADER = "id,v,at\n"
COLLIDING = HEADER + "1,first,1\n1,second,1\n2,x,1\n2,x,1\n3,old,1\n3,new,2\n"
VALUES = "SELECT id, v FROM silver.nx.t ORDER BY 1"
KEPT = "SELECT _row, _reasons[1], _values FROM quarantine.nx.t ORDER BY 1"


def lab(lake: Lake, *words: str) -> None:
    lake.write("silver/nx/t.yaml", CONTRACT + "".join(f"      - {word}\n" for word in words))


SEQUENCE = "{property: sequenceBy, value: at}"


def counts(lake: Lake, run: Run) -> tuple[int, ...]:
    step: Record = lake.step(run, "silver.nx.t")
    parts = (step.inserted, step.updated, step.duplicates, step.superseded, step.conflicts, step.quarantined)
    assert step.records_read == sum(parts) + step.unchanged
    return parts


def test_without_a_sequence_rows_of_one_file_that_differ_are_conflicts_and_those_of_a_later_file_are_not(
    lake: Lake,
) -> None:
    lab(lake)
    lake.land("nx/t/a.csv", COLLIDING)
    run = lake.good()
    assert counts(lake, run) == (3, 0, 1, 0, 2, 0)
    note = "in conflict: 2 keys have rows of one file that differ, such as 1, 3; the last row wins"
    assert lake.step(run, "silver.nx.t").notes == note
    assert lake.rows(VALUES) == [(1, "second"), (2, "x"), (3, "new")]
    lake.land("nx/t/b.csv", HEADER + "1,third,1\n")
    run = lake.good()
    assert counts(lake, run) == (0, 1, 0, 0, 0, 0)
    assert lake.step(run, "silver.nx.t").notes is None


def test_with_a_sequence_rows_that_tie_are_conflicts_in_a_file_and_against_the_table(lake: Lake) -> None:
    lab(lake, SEQUENCE)
    lake.land("nx/t/a.csv", COLLIDING)
    run = lake.good()
    assert counts(lake, run) == (3, 0, 1, 1, 1, 0)
    note = "in conflict: 1 key has rows of the same at that differ, such as 1; the greater content wins"
    assert lake.step(run, "silver.nx.t").notes == note
    lake.land("nx/t/b.csv", HEADER + "1,a third,1\n3,newer,2\n2,x,0\n")
    run = lake.good()
    assert lake.step(run, "silver.nx.t").notes == note.replace("1 key has", "2 keys have").replace("as 1", "as 1, 3")
    assert counts(lake, run) == (0, 1, 0, 0, 1, 0)
    assert lake.rows(VALUES) == [(1, "second"), (2, "x"), (3, "newer")]


def test_a_duplicate_of_a_superseded_row_is_a_duplicate(lake: Lake) -> None:
    lab(lake, SEQUENCE)
    lake.land("nx/t/a.csv", HEADER + "1,a,1\n1,a,1\n1,b,2\n1,a,1\n")
    assert counts(lake, lake.good()) == (1, 0, 2, 1, 0, 0)


@pytest.mark.parametrize("second", ["a", "z"], ids=["the stored row wins", "the new row wins"])
def test_a_conflict_with_a_stored_row_is_refused_whoever_wins(lake: Lake, second: str) -> None:
    lab(lake, "{property: onConflict, value: fail}", SEQUENCE)
    lake.land("nx/t/a.csv", HEADER + "1,first,1\n")
    lake.good()
    lake.land("nx/t/b.csv", HEADER + f"1,{second},1\n")
    [error] = lake.run().failures.values()
    assert str(error).startswith("in conflict: 1 key has rows of the same at that differ, such as 1;")
    assert lake.rows(VALUES) == [(1, "first")]


@pytest.mark.parametrize("words", [(), (SEQUENCE,)])
def test_a_contract_may_refuse_conflicts_until_a_newer_row_comes(lake: Lake, words: tuple[str, ...]) -> None:
    lab(lake, "{property: onConflict, value: fail}", *words)
    lake.land("nx/t/a.csv", HEADER + "1,first,1\n1,second,1\n")
    [error] = lake.run().failures.values()
    assert str(error).startswith("in conflict: 1 key has rows of ")
    lake.land("nx/t/b.csv", HEADER + "1,third,2\n")
    lake.good()
    assert lake.rows(VALUES) == [(1, "third")]


@pytest.mark.parametrize("words", [(), (SEQUENCE,)])
def test_a_contract_may_put_what_a_file_contradicts_into_quarantine(lake: Lake, words: tuple[str, ...]) -> None:
    lab(lake, "{property: onConflict, value: quarantine}", *words)
    lake.land("nx/t/0.csv", HEADER + "1,zero,0\n")
    lake.good()
    lake.land("nx/t/a.csv", HEADER + "1,first,1\n1,second,1\n2,x,1\n2,x,1\n")
    assert counts(lake, lake.good()) == (1, 0, 1, 0, 0, 2)
    assert lake.rows(VALUES) == [(1, "zero"), (2, "x")]
    reason = "id: conflict: another row of the file has this key" + (" and at" if words else "") + " and differs"
    assert lake.rows(KEPT) == [(1, reason, '{"id":1,"v":"first","at":1}'), (2, reason, '{"id":1,"v":"second","at":1}')]
    lake.land("nx/t/b.csv", HEADER + "1,third,1\n")
    lake.good()
    assert lake.rows(VALUES) == [(1, "third"), (2, "x")]


def test_a_contract_may_say_that_the_last_row_wins(lake: Lake) -> None:
    lab(lake, "{property: onConflict, value: last}", SEQUENCE)
    lake.land("nx/t/a.csv", HEADER + "1,z,1\n1,b,1\n")
    run = lake.good()
    assert (counts(lake, run), lake.step(run, "silver.nx.t").notes) == ((1, 0, 0, 1, 0, 0), None)
    assert lake.rows(VALUES) == [(1, "b")]
    lake.land("nx/t/b.csv", HEADER + "1,a,1\n1,y,0\n")
    assert counts(lake, lake.good()) == (0, 1, 0, 1, 0, 0)
    assert lake.rows(VALUES) == [(1, "a")]


def test_two_deletions_of_a_key_are_no_conflict(lake: Lake) -> None:
    lab(lake, SEQUENCE, "{property: deleteWhen, value: v LIKE 'gone%'}")
    lake.land("nx/t/a.csv", HEADER + "1,gone a,1\n1,gone b,1\n1,there,1\n2,x,1\n")
    run = lake.good()
    step = lake.step(run, "silver.nx.t")
    assert (step.duplicates, step.superseded, step.conflicts, step.notes) == (1, 1, 0, None)
    assert lake.rows(VALUES) == [(2, "x")]


@pytest.mark.parametrize(
    "choice", ["", "{property: onConflict, value: quarantine}", "{property: onConflict, value: last}"]
)
@pytest.mark.parametrize("words", short([(SEQUENCE,), ()], 1))
def test_in_whatever_loads_rows_come_one_pass_over_all_files_gives_the_same(
    lake: Lake, choice: str, words: tuple[str, ...]
) -> None:
    lab(lake, *filter(None, (choice, *words)))
    random = Random(len(choice) + len(words))
    for arrival in range(8):
        lines = (f"{random.randint(1, 4)},{random.choice('abc')},{random.randint(1, 3)}\n" for _ in range(5))
        lake.land(f"nx/t/{arrival}.csv", HEADER + "".join(lines))
        if random.random() < 0.7:
            counts(lake, lake.good())
    lake.good()
    assert lake.findings() == []


def test_a_copy_under_a_new_name_arrives_again_where_the_last_arrival_decides_a_tie(lake: Lake) -> None:
    lab(lake, SEQUENCE, "{property: onConflict, value: last}")
    for name, content in (("a", "1,old,1\n"), ("b", "1,new,1\n"), ("c", "1,old,1\n")):
        lake.land(f"nx/t/{name}.csv", HEADER + content)
        lake.good()
    assert lake.rows(VALUES) == [(1, "old")]
