-- One row per week and model: how the units did whose first sort test lies in the week, and what failed most at first.
WITH sorted AS (
    SELECT *, cast(date_trunc('week', first_day) AS date) AS week
    FROM gold.manufacturing.unit_results
    WHERE station = 'SORT TEST'
),
failures AS (
    SELECT week, model, first_failure_code, count(*) AS units
    FROM sorted
    WHERE first_result = 'fail' AND first_failure_code IS NOT NULL
    GROUP BY week, model, first_failure_code
),
commonest AS (
    SELECT week, model, first_failure_code
    FROM failures
    QUALIFY row_number() OVER (PARTITION BY week, model ORDER BY units DESC, first_failure_code) = 1
)
SELECT
    cast(extract(year FROM sorted.week) AS smallint) AS test_year,
    sorted.week,
    sorted.model,
    cast(count(*) AS bigint) AS units,
    cast(sum(tests) AS bigint) AS tests,
    cast(count(*) FILTER (WHERE first_result = 'pass') AS bigint) AS first_passed,
    cast(count(*) FILTER (WHERE final_result = 'pass') AS bigint) AS finally_passed,
    cast(count(*) FILTER (WHERE final_result = 'fail') AS bigint) AS still_failing,
    cast(round(100.0 * first_passed / units, 2) AS decimal(5, 2)) AS first_pass_yield,
    cast(round(100.0 * finally_passed / units, 2) AS decimal(5, 2)) AS final_yield,
    commonest.first_failure_code AS commonest_failure
FROM sorted
LEFT JOIN commonest ON commonest.week = sorted.week AND commonest.model = sorted.model
GROUP BY sorted.week, sorted.model, commonest.first_failure_code
