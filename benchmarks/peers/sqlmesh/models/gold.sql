-- The tool computes days, not what changed: the new day and the seven before it, as far back as corrections go.
MODEL (name lake.gold, kind INCREMENTAL_BY_TIME_RANGE (time_column order_date, lookback 7), start '2025-01-01');
SELECT
  CAST(order_ts AS DATE) AS order_date, country, product_id, COUNT(*) AS orders,
  CAST(SUM(quantity) AS BIGINT) AS units, CAST(SUM(quantity * unit_price + tax - discount) AS DECIMAL(18,2)) AS revenue
FROM lake.silver
WHERE order_ts >= @start_date AND order_ts < @end_date + INTERVAL 1 DAY
GROUP BY ALL
