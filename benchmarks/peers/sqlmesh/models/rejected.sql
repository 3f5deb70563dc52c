MODEL (name lake.rejected, kind INCREMENTAL_BY_TIME_RANGE (time_column _batch_date));
SELECT * FROM lake.bronze
WHERE _batch_date BETWEEN @start_date AND @end_date AND NOT COALESCE(
    TRY_CAST(NULLIF(TRIM(order_id), '') AS BIGINT) IS NOT NULL AND TRY_CAST(line_id AS INT) IS NOT NULL
    AND TRY_CAST(quantity AS INT) >= 1 AND TRY_CAST(unit_price AS DECIMAL(12,2)) IS NOT NULL
    AND TRY_CAST(order_ts AS TIMESTAMP) IS NOT NULL AND TRY_CAST(updated_at AS TIMESTAMP) IS NOT NULL, FALSE)
