-- One row per day and app: from ads to purchases, each step from the source that counts it, and the rates between steps.
-- A step that no source has a figure of for the day is absent, and so are the rates to it and from it.
WITH figures AS (
    SELECT
        date, app_id, value,
        CASE source_system || '.' || metric
            WHEN 'meta_ads.impressions' THEN 'impressions'
            WHEN 'meta_ads.clicks' THEN 'clicks'
            WHEN 'app_store.downloads' THEN 'installs'
            WHEN 'play.installs' THEN 'installs'
            WHEN 'ga4.first_opens' THEN 'first_opens'
            WHEN 'ga4.sign_ups' THEN 'sign_ups'
            WHEN 'ga4.purchase_events' THEN 'purchases'
        END AS step
    FROM gold.kpi.fact_kpi_daily
),
known AS (
    SELECT app_id, count(DISTINCT source_system) AS stores
    FROM gold.kpi.app_keys
    WHERE source_system IN ('app_store', 'play')
    GROUP BY app_id
),
steps AS (
    SELECT
        figures.date,
        figures.app_id,
        sum(value) FILTER (WHERE step = 'impressions') AS impressions,
        sum(value) FILTER (WHERE step = 'clicks') AS clicks,
        sum(value) FILTER (WHERE step = 'installs') AS installs,
        coalesce(max(known.stores), 0) - count(*) FILTER (WHERE step = 'installs') AS stores_missing,
        sum(value) FILTER (WHERE step = 'first_opens') AS first_opens,
        sum(value) FILTER (WHERE step = 'sign_ups') AS sign_ups,
        sum(value) FILTER (WHERE step = 'purchases') AS purchases
    FROM figures
    LEFT JOIN known ON known.app_id = figures.app_id
    WHERE step IS NOT NULL
    GROUP BY figures.date, figures.app_id
)
SELECT
    cast(date_trunc('month', date) AS date) AS date_month,
    date,
    app_id,
    cast(impressions AS bigint) AS impressions,
    cast(clicks AS bigint) AS clicks,
    cast(installs AS bigint) AS installs,
    cast(greatest(stores_missing, 0) AS integer) AS stores_missing,
    cast(first_opens AS bigint) AS first_opens,
    cast(sign_ups AS bigint) AS sign_ups,
    cast(purchases AS bigint) AS purchases,
    cast(round(100.0 * clicks / nullif(impressions, 0), 2) AS decimal(18, 2)) AS click_pct,
    CASE WHEN stores_missing <= 0 THEN cast(round(100.0 * installs / nullif(clicks, 0), 2) AS decimal(18, 2)) END
        AS install_pct,
    CASE WHEN stores_missing <= 0 THEN cast(round(100.0 * first_opens / nullif(installs, 0), 2) AS decimal(18, 2)) END
        AS first_open_pct,
    cast(round(100.0 * sign_ups / nullif(first_opens, 0), 2) AS decimal(18, 2)) AS sign_up_pct,
    cast(round(100.0 * purchases / nullif(sign_ups, 0), 2) AS decimal(18, 2)) AS purchase_pct
FROM steps
