-- One row per month of promise and segment. The segment is the one that the customer had on the day of shipping.
SELECT
    cast(date_trunc('month', promised_on) AS date) AS promised_month,
    coalesce(customers.segment, 'unknown') AS segment,
    cast(count(*) AS bigint) AS shipments,
    cast(count(DISTINCT shipments.customer_id) AS bigint) AS customers,
    cast(sum(revenue) AS decimal(18, 2)) AS revenue,
    cast(round(100.0 * count(*) FILTER (WHERE delivered_on <= promised_on) / nullif(count(delivered_on), 0), 2)
        AS decimal(5, 2)) AS on_time_pct
FROM silver.delivery.shipments AS shipments
LEFT JOIN silver.delivery.customers AS customers
    ON customers.customer_id = shipments.customer_id
    AND customers._valid_from <= shipments.shipped_on
    AND (customers._valid_to > shipments.shipped_on OR customers._valid_to IS NULL)
GROUP BY 1, 2
