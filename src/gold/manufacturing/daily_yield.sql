-- One row per day, model and station. Both yields are of the units whose first test there lies in the day.
SELECT
    cast(date_trunc('month', first_day) AS date) AS test_month,
    first_day AS day,
    model,
    station,
    cast(count(*) AS bigint) AS units,
    cast(count(*) FILTER (WHERE first_result = 'pass') AS bigint) AS first_passed,
    cast(count(*) FILTER (WHERE final_result = 'pass') AS bigint) AS finally_passed,
    cast(count(*) FILTER (WHERE tests > 1) AS bigint) AS retested,
    cast(round(100.0 * first_passed / units, 2) AS decimal(5, 2)) AS first_pass_yield,
    cast(round(100.0 * finally_passed / units, 2) AS decimal(5, 2)) AS final_yield
FROM gold.manufacturing.unit_results
GROUP BY ALL
