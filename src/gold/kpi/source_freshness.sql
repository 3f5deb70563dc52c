-- One row per source and account that is asked for or has rows: how far its days reach, and since when that is known.
WITH days AS (
    SELECT 'ga4' AS source_system, property_id AS account, event_date AS date, count(*) AS rows, max(pulled_at) AS pulled_at
    FROM silver.kpi.ga4_events
    GROUP BY ALL
    UNION ALL
    SELECT 'meta_ads', account_id, day, count(*), max(pulled_at) FROM silver.kpi.meta_insights GROUP BY ALL
    UNION ALL
    SELECT 'app_store', vendor_number, day, count(*), max(pulled_at) FROM silver.kpi.app_store_sales GROUP BY ALL
    UNION ALL
    SELECT 'app_store', apple_id, day, count(*), max(pulled_at) FROM silver.kpi.app_store_engagement GROUP BY ALL
    UNION ALL
    SELECT 'play', package, day, count(*), max(pulled_at) FROM silver.kpi.play_installs GROUP BY ALL
),
newest AS (
    SELECT
        source_system, account, max(date) AS newest_date, arg_max(rows, date) AS newest_rows, max(pulled_at) AS newest_pull
    FROM days
    GROUP BY source_system, account
),
named AS (
    SELECT source_system, account, string_agg(DISTINCT app_id, ' ' ORDER BY app_id) AS apps
    FROM (
        SELECT source_system, account, app_id FROM silver.kpi.apps WHERE account IS NOT NULL
        UNION ALL
        SELECT source_system, source_key, app_id FROM silver.kpi.apps
    ) AS names
    GROUP BY source_system, account
),
accounts AS (
    SELECT source_system, coalesce(account, source_key) AS account FROM silver.kpi.apps
    UNION
    SELECT source_system, account FROM newest
)
SELECT
    accounts.source_system,
    accounts.account,
    coalesce(named.apps, 'unknown') AS apps,
    newest.newest_date,
    cast(date_diff('day', newest.newest_date, run_date()) AS integer) AS days_behind,
    newest.newest_pull,
    cast(coalesce(newest.newest_rows, 0) AS bigint) AS newest_rows
FROM accounts
LEFT JOIN newest ON newest.source_system = accounts.source_system AND newest.account = accounts.account
LEFT JOIN named ON named.source_system = accounts.source_system AND named.account = accounts.account
