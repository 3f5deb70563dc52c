-- One row per day of delivery and source. It grows against the same weekday of the week before: a shop's days differ.
WITH periods AS (
    SELECT
        delivered_on,
        source,
        currency,
        count(*) AS shipments,
        count(DISTINCT customer) AS active_customers,
        count(*) FILTER (WHERE state = 'on time') AS on_time,
        sum(revenue) AS revenue,
        sum(revenue - cost) AS margin,
        sum(carbon_kg) AS carbon_kg
    FROM gold.delivery.shipments
    WHERE delivered_on IS NOT NULL
    GROUP BY ALL
)
SELECT
    cast(date_trunc('month', this.delivered_on) AS date) AS delivered_month,
    this.delivered_on,
    this.source,
    this.currency,
    cast(this.active_customers AS bigint) AS active_customers,
    cast(this.shipments AS bigint) AS shipments,
    cast(round(100.0 * this.on_time / this.shipments, 2) AS decimal(5, 2)) AS on_time_pct,
    cast(this.revenue AS decimal(18, 2)) AS revenue,
    cast(this.margin AS decimal(18, 2)) AS margin,
    cast(this.carbon_kg AS decimal(18, 3)) AS carbon_kg,
    cast(round(100.0 * (1.0 * this.shipments / earlier.shipments - 1), 2) AS decimal(18, 2)) AS shipments_growth_pct,
    cast(round(
        100.0 * (cast(this.revenue AS double) / nullif(cast(earlier.revenue AS double), 0) - 1), 2
    ) AS decimal(18, 2)) AS revenue_growth_pct
FROM periods AS this
LEFT JOIN periods AS earlier
    ON earlier.source = this.source
    AND earlier.delivered_on = cast(this.delivered_on - INTERVAL 7 DAY AS date)
