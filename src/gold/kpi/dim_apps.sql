-- One row per app, with its keys in each source, and one for what belongs to none of them.
SELECT
    app_id,
    min(name) AS name,
    string_agg(source_key, ' ' ORDER BY source_key) FILTER (WHERE source_system = 'ga4') AS ga4,
    string_agg(source_key, ' ' ORDER BY source_key) FILTER (WHERE source_system = 'meta_ads') AS meta_ads,
    string_agg(source_key, ' ' ORDER BY source_key) FILTER (WHERE source_system = 'app_store') AS app_store,
    string_agg(source_key, ' ' ORDER BY source_key) FILTER (WHERE source_system = 'play') AS play
FROM silver.kpi.apps
GROUP BY app_id
UNION ALL
SELECT 'unknown', 'Unknown', NULL, NULL, NULL, NULL
