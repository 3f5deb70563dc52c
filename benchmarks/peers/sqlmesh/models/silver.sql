-- The tool knows no condition for DuckDB's merge: rows older than the stored one are kept out by a join with the table itself.
MODEL (
  name lake.silver,
  kind INCREMENTAL_BY_UNIQUE_KEY (unique_key (order_id, line_id)),
  columns (
    order_id BIGINT, line_id INT, customer_id BIGINT, product_id TEXT, country TEXT, quantity INT,
    unit_price DECIMAL(12,2), tax DECIMAL(12,2), discount DECIMAL(12,2), currency TEXT,
    order_ts TIMESTAMP, updated_at TIMESTAMP, status TEXT, note TEXT
  )
);
WITH typed AS (
  SELECT
    TRY_CAST(NULLIF(TRIM(order_id), '') AS BIGINT) AS order_id, TRY_CAST(line_id AS INT) AS line_id,
    TRY_CAST(customer_id AS BIGINT) AS customer_id, NULLIF(TRIM(product_id), '') AS product_id,
    NULLIF(UPPER(TRIM(country)), '') AS country, TRY_CAST(quantity AS INT) AS quantity,
    TRY_CAST(unit_price AS DECIMAL(12,2)) AS unit_price, TRY_CAST(tax AS DECIMAL(12,2)) AS tax,
    TRY_CAST(discount AS DECIMAL(12,2)) AS discount, NULLIF(TRIM(currency), '') AS currency,
    TRY_CAST(order_ts AS TIMESTAMP) AS order_ts, TRY_CAST(updated_at AS TIMESTAMP) AS updated_at,
    NULLIF(TRIM(status), '') AS status, NULLIF(TRIM(note), '') AS note
  FROM lake.bronze WHERE _batch_date BETWEEN @start_date AND @end_date
),
newest AS (
  SELECT * FROM typed
  WHERE order_id IS NOT NULL AND line_id IS NOT NULL AND quantity >= 1 AND unit_price IS NOT NULL
    AND order_ts IS NOT NULL AND updated_at IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY order_id, line_id ORDER BY updated_at DESC) = 1
)
SELECT
  newest.order_id, newest.line_id, newest.customer_id, newest.product_id, newest.country, newest.quantity,
  newest.unit_price, newest.tax, newest.discount, newest.currency, newest.order_ts, newest.updated_at,
  newest.status, newest.note
FROM newest
LEFT JOIN lake.silver AS stored ON stored.order_id = newest.order_id AND stored.line_id = newest.line_id
WHERE stored.updated_at IS NULL OR newest.updated_at > stored.updated_at
