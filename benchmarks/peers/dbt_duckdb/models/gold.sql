-- The days that the new rows touched are computed again; an order never changes its day here.
{{ config(incremental_strategy='delete+insert', unique_key='order_date') }}
SELECT
    order_ts::DATE AS order_date, country, product_id, count(*) AS orders, sum(quantity)::BIGINT AS units,
    sum(quantity * unit_price + tax - discount)::DECIMAL(18,2) AS revenue
FROM {{ ref('silver') }}
{% if is_incremental() %}
WHERE order_ts::DATE IN (SELECT DISTINCT order_ts::DATE FROM {{ ref('silver') }} WHERE _batch = '{{ invocation_id }}')
{% endif %}
GROUP BY ALL
