-- One row per month of the event, source, kind of event and days from the event to its row.
WITH arrivals AS (
    SELECT 'own' AS source, event_type, occurred_on, days_late
    FROM silver.delivery.tracking_events
    UNION ALL
    SELECT 'scms', 'delivered', occurred_on, date_diff('day', occurred_on, recorded_on)
    FROM gold.delivery.scms_shipments
    WHERE occurred_on IS NOT NULL AND recorded_on IS NOT NULL
),
counted AS (
    SELECT
        cast(date_trunc('month', occurred_on) AS date) AS occurred_month,
        source,
        event_type,
        days_late,
        count(*) AS events
    FROM arrivals
    GROUP BY ALL
)
SELECT
    occurred_month,
    source,
    event_type,
    cast(days_late AS integer) AS days_late,
    cast(events AS bigint) AS events,
    cast(round(100.0 * events / sum(events) OVER every_day, 2) AS decimal(5, 2)) AS share_pct,
    cast(round(100.0 * sum(events) OVER so_far / sum(events) OVER every_day, 2) AS decimal(5, 2)) AS arrived_pct
FROM counted
WINDOW
    every_day AS (PARTITION BY occurred_month, source, event_type),
    so_far AS (PARTITION BY occurred_month, source, event_type ORDER BY days_late)
