SELECT day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount
FROM silver.shop.orders GROUP BY day
