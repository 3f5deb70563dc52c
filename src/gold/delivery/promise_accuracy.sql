-- One row per month of promise, source and carrier: how far deliveries were off their promises.
WITH delivered AS (
    SELECT
        promised_month,
        source,
        carrier,
        count(*) AS shipments,
        count(*) FILTER (WHERE days_off < 0) AS early,
        count(*) FILTER (WHERE days_off = 0) AS on_the_day,
        count(*) FILTER (WHERE days_off > 0) AS late,
        count(*) FILTER (WHERE days_off BETWEEN -1 AND 1) AS within_a_day,
        sum(days_off) AS days_off,
        sum(abs(days_off)) AS days_off_either_way,
        sum(days_off) FILTER (WHERE days_off > 0) AS days_late,
        max(days_off) AS worst
    FROM gold.delivery.shipments
    WHERE delivered_on IS NOT NULL
    GROUP BY promised_month, source, carrier
)
SELECT
    promised_month,
    source,
    delivered.carrier,
    cast(shipments AS bigint) AS shipments,
    cast(early AS bigint) AS early,
    cast(on_the_day AS bigint) AS on_the_day,
    cast(late AS bigint) AS late,
    cast(round(100.0 * (early + on_the_day) / shipments, 2) AS decimal(5, 2)) AS on_time_pct,
    cast(carriers.on_time_target_pct AS decimal(5, 2)) AS target_pct,
    cast(round(100.0 * within_a_day / shipments, 2) AS decimal(5, 2)) AS within_a_day_pct,
    cast(round(1.0 * days_off / shipments, 2) AS decimal(9, 2)) AS mean_days_off,
    cast(round(1.0 * days_off_either_way / shipments, 2) AS decimal(9, 2)) AS mean_days_off_either_way,
    cast(round(1.0 * days_late / nullif(late, 0), 2) AS decimal(9, 2)) AS mean_days_late,
    cast(worst AS integer) AS worst_days_off
FROM delivered
LEFT JOIN silver.delivery.carriers AS carriers ON carriers.carrier = delivered.carrier AND source = 'own'
