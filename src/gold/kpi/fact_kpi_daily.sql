-- One row per day, app, platform, source, metric and currency. Each source is brought to its figures by day, app and
-- platform; then each figure gets the definition that holds on its day. Money keeps its currency: XXX is no money.
WITH events AS (
    SELECT
        events.event_date AS date,
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
        events.transaction_id,
        list_contains(string_split(key_events.event_names, ' '), events.event_name) AS is_key_event,
        events.revenue_usd,
        events.pulled_at
    FROM silver.kpi.ga4_events AS events
    LEFT JOIN gold.kpi.app_keys AS keys ON keys.source_system = 'ga4' AND keys.source_key = events.property_id
    LEFT JOIN silver.kpi.kpi_dictionary AS key_events
        ON key_events.source_system = 'ga4' AND key_events.metric = 'key_events'
        AND key_events._valid_from <= events.event_date
        AND (key_events._valid_to > events.event_date OR key_events._valid_to IS NULL)
),
insights AS (
    SELECT insights.*, coalesce(keys.app_id, 'unknown') AS app_id
    FROM silver.kpi.meta_insights AS insights
    LEFT JOIN gold.kpi.app_keys AS keys ON keys.source_system = 'meta_ads' AND keys.source_key = insights.account_id
),
sales AS (
    SELECT
        sales.day,
        coalesce(keys.app_id, 'unknown') AS app_id,
        CASE
            WHEN sales.product_type IN ('1', '1F', '1T', 'F1', '1-B', 'F1-B') THEN 'downloads'
            WHEN sales.product_type IN ('3', '3F', '3T', 'F3') THEN 'redownloads'
            WHEN sales.product_type IN ('7', '7F', '7T', 'F7') THEN 'updates'
            WHEN sales.product_type = 'IA3' THEN 'restored'
            WHEN sales.product_type LIKE 'IA%' OR sales.product_type LIKE 'FI%' THEN 'in_app_purchases'
            ELSE 'units_' || lower(regexp_replace(sales.product_type, '[^A-Za-z0-9]+', '_', 'g'))
        END AS metric,
        sales.units,
        sales.units * sales.proceeds AS proceeds,
        sales.proceeds_currency AS currency,
        sales.pulled_at
    FROM silver.kpi.app_store_sales AS sales
    LEFT JOIN gold.kpi.app_keys AS keys
        ON keys.source_system = 'app_store' AND keys.source_key = coalesce(sales.parent_sku, sales.apple_id)
),
counted AS (
    SELECT
        date, app_id, platform, 'ga4' AS source_system, NULL AS currency, max(pulled_at) AS pulled_at,
        unnest([
            {'metric': 'total_users', 'value': count(DISTINCT user_pseudo_id)},
            {'metric': 'active_users', 'value': count(DISTINCT user_pseudo_id) FILTER (WHERE is_active)},
            {
                'metric': 'new_users',
                'value': count(DISTINCT user_pseudo_id) FILTER (WHERE event_name IN ('first_open', 'first_visit'))
            },
            {'metric': 'first_opens', 'value': count(*) FILTER (WHERE event_name = 'first_open')},
            {'metric': 'sign_ups', 'value': count(*) FILTER (WHERE event_name = 'sign_up')},
            {'metric': 'sessions', 'value': count(DISTINCT session)},
            {'metric': 'views', 'value': count(*) FILTER (WHERE event_name IN ('screen_view', 'page_view'))},
            {'metric': 'key_events', 'value': count(*) FILTER (WHERE is_key_event)},
            {
                'metric': 'purchase_events',
                'value': count(*) FILTER (WHERE event_name IN ('purchase', 'in_app_purchase'))
            },
            {
                'metric': 'purchases',
                'value': count(DISTINCT transaction_id) FILTER (WHERE event_name = 'purchase')
                    + count(*) FILTER (WHERE event_name = 'in_app_purchase')
            },
            {'metric': 'revenue', 'value': coalesce(sum(revenue_usd), 0)}
        ]) AS figure
    FROM events
    GROUP BY date, app_id, platform
    UNION ALL
    SELECT
        day, app_id, 'all', 'meta_ads', NULL, max(pulled_at),
        unnest([
            {'metric': 'impressions', 'value': sum(impressions)},
            {'metric': 'clicks', 'value': sum(clicks)},
            {'metric': 'installs', 'value': sum(installs)},
            {'metric': 'sign_ups', 'value': sum(sign_ups)},
            {'metric': 'purchases', 'value': sum(purchases)}
        ])
    FROM insights
    GROUP BY day, app_id
    UNION ALL
    SELECT
        day, app_id, 'all', 'meta_ads', currency, max(pulled_at),
        unnest([
            {'metric': 'spend', 'value': sum(spend)},
            {'metric': 'purchase_value', 'value': sum(purchase_value)}
        ])
    FROM insights
    GROUP BY day, app_id, currency
    UNION ALL
    SELECT
        day, app_id, 'ios', 'app_store', NULL, max(pulled_at),
        unnest([
            {'metric': 'downloads', 'value': coalesce(sum(units) FILTER (WHERE metric = 'downloads'), 0)},
            {'metric': 'redownloads', 'value': coalesce(sum(units) FILTER (WHERE metric = 'redownloads'), 0)},
            {'metric': 'updates', 'value': coalesce(sum(units) FILTER (WHERE metric = 'updates'), 0)},
            {'metric': 'in_app_purchases', 'value': coalesce(sum(units) FILTER (WHERE metric = 'in_app_purchases'), 0)}
        ])
    FROM sales
    GROUP BY day, app_id
    UNION ALL
    SELECT day, app_id, 'ios', 'app_store', NULL, max(pulled_at), {'metric': metric, 'value': sum(units)}
    FROM sales
    WHERE metric LIKE 'units_%'
    GROUP BY day, app_id, metric
    UNION ALL
    SELECT day, app_id, 'ios', 'app_store', currency, max(pulled_at), {'metric': 'proceeds', 'value': sum(proceeds)}
    FROM sales
    WHERE proceeds <> 0
    GROUP BY day, app_id, currency
    UNION ALL
    SELECT
        day, coalesce(keys.app_id, 'unknown'), 'ios', 'app_store', NULL, max(pulled_at),
        unnest([
            {'metric': 'store_impressions', 'value': coalesce(sum(counts) FILTER (WHERE event = 'Impression'), 0)},
            {'metric': 'page_views', 'value': coalesce(sum(counts) FILTER (WHERE event = 'Page view'), 0)}
        ])
    FROM silver.kpi.app_store_engagement AS engagement
    LEFT JOIN gold.kpi.app_keys AS keys ON keys.source_system = 'app_store' AND keys.source_key = engagement.apple_id
    GROUP BY day, coalesce(keys.app_id, 'unknown')
    UNION ALL
    SELECT
        day, coalesce(keys.app_id, 'unknown'), 'android', 'play', NULL, max(pulled_at),
        unnest([
            {'metric': 'installs', 'value': sum(daily_user_installs)},
            {'metric': 'uninstalls', 'value': sum(daily_user_uninstalls)},
            {'metric': 'active_devices', 'value': sum(active_device_installs)}
        ])
    FROM silver.kpi.play_installs AS installs
    LEFT JOIN gold.kpi.app_keys AS keys ON keys.source_system = 'play' AND keys.source_key = installs.package
    GROUP BY day, coalesce(keys.app_id, 'unknown')
)
SELECT
    counted.date,
    counted.app_id,
    counted.platform,
    counted.source_system,
    counted.figure.metric AS metric,
    CASE WHEN counted.figure.metric = 'revenue' THEN 'USD' ELSE coalesce(counted.currency, 'XXX') END AS currency,
    cast(counted.figure.value AS decimal(18, 2)) AS value,
    dictionary.additive,
    dictionary.valid_from AS definition_version,
    counted.pulled_at
FROM counted
LEFT JOIN silver.kpi.kpi_dictionary AS dictionary
    ON dictionary.source_system = counted.source_system AND dictionary.metric = counted.figure.metric
    AND dictionary._valid_from <= counted.date
    AND (dictionary._valid_to > counted.date OR dictionary._valid_to IS NULL)
WHERE counted.figure.value IS NOT NULL
