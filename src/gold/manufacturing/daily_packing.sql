-- One row per day and model. A unit counts once, on the day on which it first passed packing.
SELECT
    cast(date_trunc('month', passed_day) AS date) AS packed_month,
    passed_day AS day,
    model,
    cast(count(*) AS bigint) AS units,
    cast(count(*) FILTER (WHERE passes > 1) AS bigint) AS packed_again
FROM gold.manufacturing.unit_results
WHERE station = 'PACKING' AND passed_day IS NOT NULL
GROUP BY passed_day, model
