SELECT c.city, cast(sum(o.amount) AS decimal(18,2)) AS amount
FROM silver.shop.orders o JOIN silver.shop.customers c USING (customer_id)
WHERE c._is_current GROUP BY c.city
