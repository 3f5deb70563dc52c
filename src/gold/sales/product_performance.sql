-- One row per stock code over all time, under the description that was used last for a sale. Stock that is written off
-- is booked as a sale of a negative number, and what is typed there is a note.
WITH named AS (
    SELECT stock_code, description
    FROM silver.sales.order_lines
    WHERE description IS NOT NULL AND kind = 'sale' AND quantity > 0
    QUALIFY row_number() OVER (PARTITION BY stock_code ORDER BY invoiced_at DESC, description) = 1
)
SELECT
    sold.stock_code,
    named.description,
    cast(sum(quantity) AS bigint) AS units,
    cast(coalesce(sum(amount) FILTER (WHERE kind = 'sale' AND quantity > 0), 0) AS decimal(18, 3)) AS gross_revenue,
    cast(coalesce(-sum(amount) FILTER (WHERE kind <> 'adjustment' AND quantity < 0), 0) AS decimal(18, 3)) AS returns,
    cast(sum(amount) AS decimal(18, 3)) AS net_revenue,
    cast(count(DISTINCT invoice_no) AS bigint) AS orders,
    cast(count(DISTINCT customer_id) AS bigint) AS customers,
    min(order_date) AS first_sold,
    max(order_date) AS last_sold
FROM (SELECT *, quantity * unit_price AS amount FROM silver.sales.order_lines) AS sold
LEFT JOIN named ON named.stock_code = sold.stock_code
GROUP BY sold.stock_code, named.description
