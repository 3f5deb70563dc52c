-- One row per shipment, whosoever it is: those of our own warehouses, and the lines of the SCMS programme. On time is
-- delivered on the promised day or before.
WITH every_shipment AS (
    SELECT
        'own' AS source, shipment_id, order_id, cast(customer_id AS varchar) AS customer, carrier, origin, destination,
        shipped_on, promised_on, delivered_on, CASE WHEN delivered_on IS NOT NULL THEN updated_at END AS recorded_on,
        'GBP' AS currency, revenue, cost, weight_kg, carbon_kg
    FROM silver.delivery.shipments
    UNION ALL
    SELECT
        'scms', cast(line_id AS varchar), order_id, project, mode, vendor, destination,
        NULL, promised_on, delivered_on, greatest(delivered_on, recorded_on), 'USD', line_value, NULL, weight_kg, NULL
    FROM gold.delivery.scms_shipments
)
SELECT
    source,
    shipment_id,
    order_id,
    customer,
    carrier,
    origin,
    destination,
    origin || ' > ' || destination AS lane,
    cast(shipped_on AS date) AS shipped_on,
    promised_on,
    delivered_on,
    cast(recorded_on AS date) AS recorded_on,
    cast(date_trunc('month', promised_on) AS date) AS promised_month,
    cast(date_diff('day', promised_on, delivered_on) AS integer) AS days_off,
    CASE WHEN delivered_on IS NULL THEN 'open' WHEN delivered_on <= promised_on THEN 'on time' ELSE 'late' END AS state,
    currency,
    cast(revenue AS decimal(18, 2)) AS revenue,
    cast(cost AS decimal(18, 2)) AS cost,
    cast(weight_kg AS decimal(18, 2)) AS weight_kg,
    cast(carbon_kg AS decimal(18, 3)) AS carbon_kg
FROM every_shipment
