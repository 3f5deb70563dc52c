-- One row per line of a delivery note, with the weight and the freight of its note. The line that holds them is found
-- by the number that the others name; a line that refers to one that refers again is followed once more. Lines of one
-- note lie in one partition, so that a reference never leads out of it.
SELECT
    line.line_id,
    line.note_digit,
    line.delivery_note,
    line.order_id,
    line.project,
    coalesce(line.mode, 'not said') AS mode,
    line.vendor,
    line.destination,
    line.promised_on,
    line.delivered_on,
    line.recorded_on,
    line.delivered_on AS occurred_on,
    line.line_value,
    line.weight_kg,
    line.freight_usd,
    coalesce(line.weight_kg, held.weight_kg, beyond.weight_kg) AS note_weight_kg,
    coalesce(line.weight_said, held.weight_said, beyond.weight_said) AS weight_said,
    line.weight_of,
    coalesce(line.freight_usd, paid.freight_usd, settled.freight_usd) AS note_freight_usd,
    coalesce(line.freight_said, paid.freight_said, settled.freight_said) AS freight_said,
    line.freight_of
FROM silver.delivery.scms AS line
LEFT JOIN silver.delivery.scms AS held
    ON held.line_id = line.weight_of AND held.delivery_note = line.delivery_note
LEFT JOIN silver.delivery.scms AS beyond
    ON beyond.line_id = held.weight_of AND beyond.delivery_note = line.delivery_note
LEFT JOIN silver.delivery.scms AS paid
    ON paid.line_id = line.freight_of AND paid.delivery_note = line.delivery_note
LEFT JOIN silver.delivery.scms AS settled
    ON settled.line_id = paid.freight_of AND settled.delivery_note = line.delivery_note
