-- A row that is older than the stored one stays out: by the merge's condition, or, with delete+insert, by a join.
{% if var('upsert') == 'merge' %}
{{ config(incremental_strategy='merge', unique_key=['order_id', 'line_id'],
    merge_update_condition='DBT_INTERNAL_SOURCE.updated_at > DBT_INTERNAL_DEST.updated_at') }}
{% else %}
{{ config(incremental_strategy='delete+insert', unique_key=['order_id', 'line_id']) }}
{% endif %}
WITH typed AS (
    SELECT
        try_cast(nullif(trim(order_id), '') AS BIGINT) AS order_id, try_cast(line_id AS INTEGER) AS line_id,
        try_cast(customer_id AS BIGINT) AS customer_id, nullif(trim(product_id), '') AS product_id,
        nullif(upper(trim(country)), '') AS country, try_cast(quantity AS INTEGER) AS quantity,
        try_cast(unit_price AS DECIMAL(12,2)) AS unit_price, try_cast(tax AS DECIMAL(12,2)) AS tax,
        try_cast(discount AS DECIMAL(12,2)) AS discount, nullif(trim(currency), '') AS currency,
        try_cast(order_ts AS TIMESTAMP) AS order_ts, try_cast(updated_at AS TIMESTAMP) AS updated_at,
        nullif(trim(status), '') AS status, nullif(trim(note), '') AS note, _batch
    FROM {{ ref('bronze') }} WHERE _batch = '{{ invocation_id }}'
),
newest AS (
    SELECT * FROM typed
    WHERE order_id IS NOT NULL AND line_id IS NOT NULL AND quantity >= 1 AND unit_price IS NOT NULL
        AND order_ts IS NOT NULL AND updated_at IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY order_id, line_id ORDER BY updated_at DESC) = 1
)
SELECT newest.* FROM newest
{% if is_incremental() and var('upsert') != 'merge' %}
LEFT JOIN {{ this }} stored ON stored.order_id = newest.order_id AND stored.line_id = newest.line_id
WHERE stored.updated_at IS NULL OR newest.updated_at > stored.updated_at
{% endif %}
