-- One row per promised day, source, carrier and lane.
SELECT
    promised_month,
    promised_on,
    source,
    carrier,
    lane,
    cast(count(*) AS bigint) AS promised,
    cast(count(delivered_on) AS bigint) AS delivered,
    cast(count(*) FILTER (WHERE state = 'on time') AS bigint) AS on_time,
    cast(count(*) FILTER (WHERE state = 'late') AS bigint) AS late,
    cast(count(*) FILTER (WHERE state = 'open') AS bigint) AS still_open,
    cast(round(100.0 * count(*) FILTER (WHERE state = 'on time') / nullif(count(delivered_on), 0), 2) AS decimal(5, 2))
        AS on_time_pct
FROM gold.delivery.shipments
GROUP BY promised_month, promised_on, source, carrier, lane
