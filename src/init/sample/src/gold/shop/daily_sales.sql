SELECT
    ordered_on,
    count(*) AS orders,
    cast(sum(quantity * price) AS decimal(18,2)) AS revenue
FROM silver.shop.orders
GROUP BY ordered_on
