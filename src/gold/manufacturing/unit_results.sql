-- One row per unit and station: its first result and its last, in the order of the starts of its tests.
-- Returned devices (RMA) are left out. Equal starts cannot be: they are part of each test's key.
WITH tests AS (
    SELECT serial, station, model, result, failure_code, started_at
    FROM silver.manufacturing.workstation_tests
    WHERE service_flow <> 'rma'
    UNION ALL
    SELECT serial, 'BOARD TEST' AS station, model, result, failure_code, started_at
    FROM silver.manufacturing.board_tests
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY serial, station ORDER BY started_at) AS place,
        row_number() OVER (PARTITION BY serial, station ORDER BY started_at DESC) AS place_from_last
    FROM tests
)
SELECT
    cast(2000 + cast(substr(serial, 2, 2) AS integer) AS smallint) AS made_in,
    serial,
    station,
    max(model) FILTER (WHERE place = 1) AS model,
    cast(count(*) AS bigint) AS tests,
    cast(count(*) FILTER (WHERE result = 'pass') AS bigint) AS passes,
    min(started_at) AS first_tested_at,
    cast(min(started_at) AS date) AS first_day,
    max(result) FILTER (WHERE place = 1) AS first_result,
    max(failure_code) FILTER (WHERE place = 1) AS first_failure_code,
    max(started_at) AS last_tested_at,
    max(result) FILTER (WHERE place_from_last = 1) AS final_result,
    max(failure_code) FILTER (WHERE place_from_last = 1) AS final_failure_code,
    cast(min(started_at) FILTER (WHERE result = 'pass') AS date) AS passed_day
FROM placed
GROUP BY serial, station
