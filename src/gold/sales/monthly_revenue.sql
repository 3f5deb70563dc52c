-- One row per month, and its growth against the month before it that has sales.
WITH monthly AS (
    SELECT
        order_month,
        sum(amount) FILTER (WHERE kind = 'sale' AND quantity > 0) AS gross_revenue,
        -sum(amount) FILTER (WHERE kind <> 'adjustment' AND quantity < 0) AS returns,
        sum(amount) AS net_revenue,
        count(DISTINCT invoice_no) AS orders,
        count(*) AS lines,
        count(DISTINCT customer_id) AS customers
    FROM (SELECT *, quantity * unit_price AS amount FROM silver.sales.order_lines) AS priced
    GROUP BY order_month
)
SELECT
    order_month,
    cast(coalesce(gross_revenue, 0) AS decimal(18, 3)) AS gross_revenue,
    cast(coalesce(returns, 0) AS decimal(18, 3)) AS returns,
    cast(net_revenue AS decimal(18, 3)) AS net_revenue,
    cast(orders AS bigint) AS orders,
    cast(lines AS bigint) AS lines,
    cast(customers AS bigint) AS customers,
    cast(round(
        100.0 * (cast(net_revenue AS double) / nullif(cast(lag(net_revenue) OVER (ORDER BY order_month) AS double), 0) - 1), 2
    ) AS decimal(18, 2)) AS growth_pct
FROM monthly
