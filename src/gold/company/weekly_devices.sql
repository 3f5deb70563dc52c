-- One row per week and model; what happened to devices in four places is laid one below the other and added up.
WITH models AS (
    SELECT DISTINCT model FROM gold.manufacturing.weekly_packing
),
lines AS (
    SELECT invoice_no, order_date, stock_code AS model, kind, quantity
    FROM silver.sales.order_lines
    WHERE stock_code IN (SELECT model FROM models)
),
orders AS (
    SELECT order_id, min(shipped_on) AS shipped_on FROM silver.delivery.shipments GROUP BY order_id
),
happened AS (
    SELECT week, model, units AS built, 0 AS sold, 0 AS shipped, 0 AS returned
    FROM gold.manufacturing.weekly_packing
    UNION ALL
    SELECT cast(date_trunc('week', order_date) AS date), model, 0, quantity, 0, 0
    FROM lines
    WHERE kind = 'sale' AND quantity > 0
    UNION ALL
    SELECT cast(date_trunc('week', orders.shipped_on) AS date), lines.model, 0, 0, lines.quantity, 0
    FROM lines
    JOIN orders ON orders.order_id = lines.invoice_no
    WHERE lines.kind = 'sale' AND lines.quantity > 0
    UNION ALL
    SELECT cast(date_trunc('week', order_date) AS date), model, 0, 0, 0, -quantity
    FROM lines
    WHERE kind = 'cancellation' AND quantity < 0
)
SELECT
    week,
    model,
    cast(sum(built) AS bigint) AS built,
    cast(sum(sold) AS bigint) AS sold,
    cast(sum(shipped) AS bigint) AS shipped,
    cast(sum(returned) AS bigint) AS returned
FROM happened
GROUP BY week, model
