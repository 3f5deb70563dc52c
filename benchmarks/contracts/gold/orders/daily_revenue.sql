-- One row per day, country and product.
SELECT
    order_date,
    country,
    product_id,
    cast(count(*) AS bigint) AS orders,
    cast(sum(quantity) AS bigint) AS units,
    cast(sum(quantity * unit_price + tax - discount) AS decimal(18, 2)) AS revenue
FROM silver.orders.order_lines
GROUP BY order_date, country, product_id
