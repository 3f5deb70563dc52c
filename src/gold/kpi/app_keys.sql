-- One row per source and key: those of the list, and of the App Store the SKU of every app of it, as what is sold
-- inside an app names the app by its SKU.
WITH skus AS (
    SELECT
        sales.sku AS source_key, min(apps.account) AS account, min(apps.app_id) AS app_id, min(apps.name) AS name
    FROM silver.kpi.app_store_sales AS sales
    JOIN silver.kpi.apps AS apps ON apps.source_system = 'app_store' AND apps.source_key = sales.apple_id
    WHERE sales.parent_sku IS NULL
    GROUP BY sales.sku
)
SELECT source_system, source_key, account, app_id, name
FROM silver.kpi.apps
UNION ALL
SELECT 'app_store', source_key, account, app_id, name
FROM skus
WHERE source_key NOT IN (SELECT source_key FROM silver.kpi.apps WHERE source_system = 'app_store')
