-- One row per week and model: the product of its stations' yields. The shares are multiplied in the order of their
-- size, so that the product is the same to the last digit however the rows come.
WITH shares AS (
    SELECT
        *,
        cast(first_passed AS double) / units AS first_share,
        cast(finally_passed AS double) / units AS final_share,
        row_number() OVER (PARTITION BY week, model ORDER BY cast(first_passed AS double) / units, station) AS place
    FROM gold.manufacturing.weekly_yield
),
rolled AS (
    SELECT
        test_year,
        week,
        model,
        count(*) AS stations,
        list_reduce(list_sort(list(first_share)), lambda product, share: product * share) AS first_pass,
        list_reduce(list_sort(list(final_share)), lambda product, share: product * share) AS final,
        max(station) FILTER (WHERE place = 1) AS weakest_station
    FROM shares
    GROUP BY test_year, week, model
)
SELECT
    test_year,
    week,
    model,
    cast(stations AS bigint) AS stations,
    cast(round(100.0 * first_pass, 2) AS decimal(5, 2)) AS rolled_first_pass_yield,
    cast(round(100.0 * final, 2) AS decimal(5, 2)) AS rolled_final_yield,
    weakest_station
FROM rolled
