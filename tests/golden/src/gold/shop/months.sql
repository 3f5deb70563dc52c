SELECT cast(date_trunc('month', day) AS date) AS month, cast(sum(amount) AS decimal(18,2)) AS amount
FROM gold.shop.daily GROUP BY 1
