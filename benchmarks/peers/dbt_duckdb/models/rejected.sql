{{ config(incremental_strategy='append') }}
SELECT * FROM {{ ref('bronze') }}
WHERE _batch = '{{ invocation_id }}' AND NOT coalesce(
    try_cast(nullif(trim(order_id), '') AS BIGINT) IS NOT NULL AND try_cast(line_id AS INTEGER) IS NOT NULL
    AND try_cast(quantity AS INTEGER) >= 1 AND try_cast(unit_price AS DECIMAL(12,2)) IS NOT NULL
    AND try_cast(order_ts AS TIMESTAMP) IS NOT NULL AND try_cast(updated_at AS TIMESTAMP) IS NOT NULL, false)
