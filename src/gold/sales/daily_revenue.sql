-- One row per invoice date and country. Returns are cancelled lines and other negative quantities,
-- as positive money; adjustments of bad debt count in net revenue only.
SELECT
    order_month,
    order_date,
    country,
    cast(coalesce(sum(amount) FILTER (WHERE kind = 'sale' AND quantity > 0), 0) AS decimal(18, 3)) AS gross_revenue,
    cast(coalesce(-sum(amount) FILTER (WHERE kind <> 'adjustment' AND quantity < 0), 0) AS decimal(18, 3)) AS returns,
    cast(sum(amount) AS decimal(18, 3)) AS net_revenue,
    cast(count(DISTINCT invoice_no) AS bigint) AS orders,
    cast(count(*) AS bigint) AS lines,
    cast(count(DISTINCT customer_id) AS bigint) AS customers,
    cast(sum(quantity) AS bigint) AS units
FROM (SELECT *, quantity * unit_price AS amount FROM silver.sales.order_lines) AS priced
GROUP BY order_month, order_date, country
