-- One row per week and model. A unit counts once, in the week in which it first passed packing.
SELECT
    cast(extract(year FROM week) AS smallint) AS packed_year,
    week,
    model,
    cast(count(*) AS bigint) AS units,
    cast(count(*) FILTER (WHERE passes > 1) AS bigint) AS packed_again
FROM (SELECT *, cast(date_trunc('week', passed_day) AS date) AS week FROM gold.manufacturing.unit_results) AS dated
WHERE station = 'PACKING' AND week IS NOT NULL
GROUP BY week, model
