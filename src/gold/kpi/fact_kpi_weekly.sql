-- One row per week (Monday to Sunday), app, platform, source, metric and currency. What may be added up is
-- the sum of its days; users, sessions and purchases of GA4 are counted again over the whole week, each once; whatever is
-- neither is not here.
WITH days AS (
    SELECT
        cast(date_trunc('week', date) AS date) AS week,
        app_id, platform, source_system, metric, currency,
        bool_and(coalesce(additive, false)) AS additive,
        sum(value) AS value,
        count(*) AS days,
        max(definition_version) AS definition_version,
        max(pulled_at) AS pulled_at
    FROM gold.kpi.fact_kpi_daily
    GROUP BY ALL
),
events AS (
    SELECT
        cast(date_trunc('week', events.event_date) AS date) AS week,
        coalesce(keys.app_id, 'unknown') AS app_id,
        events.platform,
        events.event_name,
        events.user_pseudo_id,
        coalesce(
            events.is_active_user,
            coalesce(events.engaged_msec > 0, false)
            OR coalesce(events.session_engaged, false)
            OR events.event_name IN ('first_open', 'first_visit')
        ) AS is_active,
        events.user_pseudo_id || '.' || events.session_id AS session,
        events.transaction_id
    FROM silver.kpi.ga4_events AS events
    LEFT JOIN gold.kpi.app_keys AS keys ON keys.source_system = 'ga4' AND keys.source_key = events.property_id
),
distinct_counts AS (
    SELECT
        week, app_id, platform,
        unnest([
            {'metric': 'total_users', 'value': count(DISTINCT user_pseudo_id)},
            {'metric': 'active_users', 'value': count(DISTINCT user_pseudo_id) FILTER (WHERE is_active)},
            {
                'metric': 'new_users',
                'value': count(DISTINCT user_pseudo_id) FILTER (WHERE event_name IN ('first_open', 'first_visit'))
            },
            {'metric': 'sessions', 'value': count(DISTINCT session)},
            {
                'metric': 'purchases',
                'value': count(DISTINCT transaction_id) FILTER (WHERE event_name = 'purchase')
                    + count(*) FILTER (WHERE event_name = 'in_app_purchase')
            }
        ]) AS figure
    FROM events
    GROUP BY week, app_id, platform
)
SELECT
    days.week,
    days.app_id,
    days.platform,
    days.source_system,
    days.metric,
    days.currency,
    cast(coalesce(again.figure.value, days.value) AS decimal(18, 2)) AS value,
    cast(days.days AS integer) AS days,
    days.definition_version,
    days.pulled_at
FROM days
LEFT JOIN distinct_counts AS again
    ON again.week = days.week AND again.app_id = days.app_id AND again.platform = days.platform
    AND again.figure.metric = days.metric AND days.source_system = 'ga4'
WHERE days.additive OR again.figure.value IS NOT NULL
