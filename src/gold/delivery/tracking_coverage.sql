-- One row per month of the events: how many of them are of a shipment whose row is there.
SELECT
    occurred_month,
    cast(count(*) AS bigint) AS events,
    cast(count(DISTINCT events.shipment_id) AS bigint) AS shipments,
    cast(count(*) FILTER (WHERE known.shipment_id IS NULL) AS bigint) AS without_shipment,
    cast(round(100.0 * count(*) FILTER (WHERE known.shipment_id IS NULL) / count(*), 2) AS decimal(5, 2))
        AS without_shipment_pct
FROM silver.delivery.tracking_events AS events
LEFT JOIN silver.delivery.shipments AS known ON known.shipment_id = events.shipment_id
GROUP BY occurred_month
