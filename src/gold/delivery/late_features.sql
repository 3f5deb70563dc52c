-- One row per shipment that was not delivered yet when the question was asked: will it be late? Of each only what was
-- known on that day. Own: asked when its first row came in. Scms: 28 days before the scheduled delivery, or when the
-- line was quoted or ordered, where that was later.
WITH first AS (  -- the newest of the rows that came in on a shipment's first day
    SELECT DISTINCT ON (shipment_id)
        shipment_id, arrived_on, customer_id, carrier, origin, destination, shipped_on, promised_on, revenue, weight_kg
    FROM silver.delivery.shipment_history
    ORDER BY shipment_id, arrived_on, updated_at DESC
),
outcome AS (  -- as it was first known; later corrections of the promise come too late for anyone who asked by then
    SELECT DISTINCT ON (shipment_id) shipment_id, arrived_on, delivered_on > promised_on AS late
    FROM silver.delivery.shipment_history
    WHERE delivered_on IS NOT NULL
    ORDER BY shipment_id, arrived_on, updated_at DESC
),
segments AS (  -- a snapshot comes once a week: a change is known seven days later at most
    SELECT customer_id, segment, cast(_valid_from AS date) + 7 AS since FROM silver.delivery.customers
),
every_shipment AS (
    SELECT
        'own' AS source,
        first.shipment_id,
        first.arrived_on AS asked_on,
        outcome.arrived_on AS known_on,
        outcome.late,
        first.carrier,
        first.origin,
        first.destination,
        segments.segment,
        first.promised_on,
        date_diff('day', first.shipped_on, first.promised_on) AS promised_days,
        first.revenue AS worth,
        first.weight_kg,
        NULL AS quantity
    FROM first
    LEFT JOIN outcome USING (shipment_id)
    ASOF LEFT JOIN segments ON segments.customer_id = first.customer_id AND segments.since <= first.arrived_on
    UNION ALL
    SELECT
        'scms',
        cast(line_id AS varchar),
        greatest(promised_on - 28, quoted_on, ordered_on) AS asked_on,
        greatest(delivered_on, recorded_on) AS known_on,
        delivered_on > promised_on,
        coalesce(mode, 'not said'),
        vendor,
        destination,
        product_group,
        promised_on,
        date_diff('day', coalesce(ordered_on, quoted_on), promised_on),
        line_value,
        NULL,
        quantity
    FROM silver.delivery.scms
),
asked AS (SELECT *, coalesce(known_on > asked_on, true) AS is_open FROM every_shipment),
days AS (  -- each shipment on the day of its question, and on that from which on its outcome was known
    SELECT
        source, carrier, origin, destination,
        asked_on AS day, 0 AS outcomes, 0 AS on_time, cast(is_open AS integer) AS opened
    FROM asked
    UNION ALL
    SELECT source, carrier, origin, destination, known_on, 1, cast(NOT late AS integer), 0
    FROM asked
    WHERE known_on IS NOT NULL
    UNION ALL  -- one that is open for 90 days is lost
    SELECT source, carrier, origin, destination, least(known_on, asked_on + 90), 0, 0, -1
    FROM asked
    WHERE is_open
),
by_day AS (  -- of each carrier, each origin, each lane
    SELECT
        source, carrier, origin, destination, day,
        sum(outcomes) AS outcomes, sum(on_time) AS on_time, sum(opened) AS opened
    FROM days
    GROUP BY GROUPING SETS ((source, carrier, day), (source, origin, day), (source, origin, destination, day))
),
past AS (
    SELECT
        source,
        carrier,
        origin,
        destination,
        day,
        cast(sum(outcomes) OVER last_28 AS bigint) AS deliveries_28,
        cast(sum(outcomes) OVER last_90 AS bigint) AS deliveries_90,
        cast(sum(outcomes) OVER last_365 AS bigint) AS deliveries_365,
        cast(round(100.0 * sum(on_time) OVER last_28 / nullif(sum(outcomes) OVER last_28, 0), 2) AS decimal(5, 2))
            AS on_time_pct_28,
        cast(round(100.0 * sum(on_time) OVER last_90 / nullif(sum(outcomes) OVER last_90, 0), 2) AS decimal(5, 2))
            AS on_time_pct_90,
        cast(round(100.0 * sum(on_time) OVER last_365 / nullif(sum(outcomes) OVER last_365, 0), 2) AS decimal(5, 2))
            AS on_time_pct_365,
        cast(sum(opened) OVER until_now AS bigint) AS still_open
    FROM by_day
    WINDOW
        last_28 AS (PARTITION BY source, carrier, origin, destination ORDER BY day RANGE INTERVAL 27 DAYS PRECEDING),
        last_90 AS (PARTITION BY source, carrier, origin, destination ORDER BY day RANGE INTERVAL 89 DAYS PRECEDING),
        last_365 AS (PARTITION BY source, carrier, origin, destination ORDER BY day RANGE INTERVAL 364 DAYS PRECEDING),
        until_now AS (PARTITION BY source, carrier, origin, destination ORDER BY day)
)
SELECT
    asked.source,
    asked.shipment_id,
    asked.asked_on,
    asked.promised_on,
    asked.carrier,
    asked.origin,
    asked.destination,
    asked.segment,
    cast(asked.promised_days AS integer) AS promised_days,
    cast(date_diff('day', asked.asked_on, asked.promised_on) AS integer) AS days_left,
    cast(isodow(asked.promised_on) AS integer) AS promised_weekday,
    cast(month(asked.promised_on) AS integer) AS promised_in_month,
    cast(asked.worth AS decimal(18, 2)) AS worth,
    cast(asked.weight_kg AS decimal(18, 2)) AS weight_kg,
    cast(asked.quantity AS bigint) AS quantity,
    by_carrier.still_open AS carrier_open,
    by_carrier.deliveries_28 AS carrier_deliveries_28,
    by_carrier.on_time_pct_28 AS carrier_on_time_pct_28,
    by_carrier.deliveries_90 AS carrier_deliveries_90,
    by_carrier.on_time_pct_90 AS carrier_on_time_pct_90,
    by_carrier.deliveries_365 AS carrier_deliveries_365,
    by_carrier.on_time_pct_365 AS carrier_on_time_pct_365,
    by_origin.deliveries_28 AS origin_deliveries_28,
    by_origin.on_time_pct_28 AS origin_on_time_pct_28,
    by_origin.deliveries_90 AS origin_deliveries_90,
    by_origin.on_time_pct_90 AS origin_on_time_pct_90,
    by_origin.deliveries_365 AS origin_deliveries_365,
    by_origin.on_time_pct_365 AS origin_on_time_pct_365,
    by_lane.deliveries_28 AS lane_deliveries_28,
    by_lane.on_time_pct_28 AS lane_on_time_pct_28,
    by_lane.deliveries_90 AS lane_deliveries_90,
    by_lane.on_time_pct_90 AS lane_on_time_pct_90,
    by_lane.deliveries_365 AS lane_deliveries_365,
    by_lane.on_time_pct_365 AS lane_on_time_pct_365
FROM asked
INNER JOIN past AS by_carrier
    ON by_carrier.source = asked.source AND by_carrier.carrier = asked.carrier AND by_carrier.day = asked.asked_on
INNER JOIN past AS by_origin
    ON by_origin.source = asked.source AND by_origin.origin = asked.origin AND by_origin.destination IS NULL
    AND by_origin.day = asked.asked_on
INNER JOIN past AS by_lane
    ON by_lane.source = asked.source AND by_lane.origin = asked.origin AND by_lane.destination = asked.destination
    AND by_lane.day = asked.asked_on
WHERE asked.is_open
