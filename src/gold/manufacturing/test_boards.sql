-- One row per test board, over all time. First-pass is told of the units whose very first board test was on it.
WITH placed AS (
    SELECT *, row_number() OVER (PARTITION BY serial ORDER BY started_at) AS place
    FROM silver.manufacturing.board_tests
),
failures AS (
    SELECT test_board, failure_code, count(*) AS tests
    FROM placed
    WHERE result = 'fail' AND failure_code IS NOT NULL
    GROUP BY test_board, failure_code
),
commonest AS (
    SELECT test_board, failure_code
    FROM failures
    QUALIFY row_number() OVER (PARTITION BY test_board ORDER BY tests DESC, failure_code) = 1
)
SELECT
    placed.test_board,
    cast(count(*) AS bigint) AS tests,
    cast(count(DISTINCT serial) AS bigint) AS units,
    cast(count(*) FILTER (WHERE result = 'fail') AS bigint) AS failures,
    cast(count(*) FILTER (WHERE place = 1) AS bigint) AS first_tests,
    cast(count(*) FILTER (WHERE place = 1 AND result = 'pass') AS bigint) AS first_passed,
    cast(round(
        100.0 * count(*) FILTER (WHERE place = 1 AND result = 'pass') / nullif(count(*) FILTER (WHERE place = 1), 0), 2
    ) AS decimal(5, 2)) AS first_pass_yield,
    commonest.failure_code AS commonest_failure,
    cast(round(cast(sum(seconds) AS double) / count(*), 1) AS decimal(18, 1)) AS mean_seconds,
    cast(min(started_at) AS date) AS first_used,
    cast(max(started_at) AS date) AS last_used
FROM placed
LEFT JOIN commonest ON commonest.test_board = placed.test_board
GROUP BY placed.test_board, commonest.failure_code
