-- Models over the tables of tables.py, with what the proof says: `proven | partition | lookback`, or refused.
-- A table is written without its silver.shop. Whether the proof is right is found out by computing them: see splice.py.

-- == Columns and rows

-- proven | day | 0
SELECT * FROM orders WHERE amount > 3;
FROM orders SELECT day, id, amount * 2 AS amount;
SELECT DISTINCT day, buyer FROM orders;
SELECT day, id, unnest([1, 2]) u FROM orders;
SELECT coalesce(day, sent) AS day, id FROM orders WHERE day IS NOT NULL;
SELECT day + INTERVAL 0 DAY AS d, day, id FROM orders;
SELECT o.* REPLACE (amount + 1 AS amount) FROM orders o;
SELECT day, id FROM orders WHERE day = '2031-01-30' OR day = '2031-01-31';
SELECT p.day, p.id, p.sent FROM parcels p WHERE p.day = p.sent;
SELECT day, id FROM orders WHERE day = ANY (SELECT day FROM orders WHERE amount > 3);

-- refused | day | 0
SELECT day, id FROM orders WHERE day >= ALL (SELECT day FROM orders WHERE amount > 3);
SELECT day, id FROM orders WHERE day > ANY (SELECT day FROM orders WHERE amount > 3);

-- refused | buyer | 0
SELECT any_value(buyer) AS buyer, wavg(amount, amount) x FROM orders;

-- == Groups

-- proven | day | 0
SELECT day, sum(amount) x FROM orders GROUP BY day;
SELECT day, buyer, count(*) x FROM orders GROUP BY ALL;
SELECT day, count(*) x FROM orders GROUP BY 1;
SELECT sent AS day, count(*) x FROM orders GROUP BY sent;
SELECT cast(moment AS date) AS day, count(*) x FROM orders GROUP BY 1;
SELECT day, id, max(amount) x FROM orders GROUP BY id, day;
SELECT max(day) AS day, id, sum(amount) x FROM orders GROUP BY id;
SELECT day, sum(amount) x FROM orders GROUP BY day HAVING sum(amount) > 3 AND day > DATE '2031-01-30';
SELECT DATE '2031-01-30' AS day, count(*) x FROM orders WHERE day = DATE '2031-01-30';
SELECT day, buyer, sum(amount) x FROM orders GROUP BY GROUPING SETS ((day, buyer), (day));
SELECT day, list(x ORDER BY x) FROM (SELECT day, amount AS x FROM orders ORDER BY id) GROUP BY day;
SELECT day, count(*) x FROM (SELECT * FROM orders) AS o(id, buyer, sent, moment, day, amount) GROUP BY day HAVING
    max(sent) IS NOT NULL;
SELECT day, arg_max(buyer, id) b FROM orders GROUP BY day;
SELECT cast(moment AS date) AS day, count(*) x FROM orders GROUP BY 1;
SELECT day, sum(amount) FILTER (WHERE sent = day) x FROM orders GROUP BY day;
SELECT day, list_transform(list(amount ORDER BY id), lambda a: a + 1) x FROM orders GROUP BY day;
SELECT p.sent AS day, count(*) x FROM parcels p WHERE p.day = p.sent GROUP BY p.sent;

-- refused | day | 0
SELECT day, sum(amount) x FROM orders WHERE day IS NOT NULL GROUP BY ROLLUP (day) HAVING day IS NOT NULL;
SELECT first_day AS day, count(*) x FROM (SELECT buyer, min(day) AS first_day FROM orders GROUP BY buyer) GROUP BY
    first_day;
SELECT max(day) AS day, buyer, count(*) x FROM orders GROUP BY buyer;
SELECT buyer, any_value(day) AS day FROM (SELECT * FROM orders ORDER BY id) GROUP BY buyer HAVING count(*) = 1;
WITH t AS (SELECT sum(amount) s FROM orders) SELECT day, sum(amount) / any_value(s) x FROM orders, t GROUP BY day;
SELECT t.o.day AS day, count(*) x FROM (SELECT {'day': sent} AS o, day AS d FROM orders) t GROUP BY 1;
SELECT day, max(c) x FROM (SELECT day, buyer, count(*) c FROM orders GROUP BY CUBE (day, buyer)) WHERE day IS NOT NULL
    GROUP BY day;
SELECT CASE WHEN amount > 3 THEN day ELSE sent END AS day, count(*) c FROM orders GROUP BY 1;
SELECT DATE '2031-01-31' AS day, count(*) x FROM orders WHERE day = '2031-01-30';
SELECT max(day) AS day, buyer FROM orders GROUP BY GROUPING SETS ((id, buyer), (buyer));
SELECT min(day) FILTER (WHERE amount > 3) AS day, id, count(*) x FROM orders GROUP BY id;
SELECT CASE WHEN day IS NULL THEN NULL ELSE day END AS day, count(*) x FROM orders GROUP BY 1;
SELECT coalesce(day, DATE '2031-01-30') AS day, id, count(*) x FROM orders WHERE day IS NOT NULL GROUP BY GROUPING
    SETS ((id, day), (id));

-- proven | buyer | 0
SELECT buyer, count(*) n, min(day) AS first_day FROM orders GROUP BY buyer;

-- refused | buyer | 0
SELECT coalesce(buyer, 'all') AS buyer, count(*) c FROM orders GROUP BY ROLLUP (buyer);
SELECT buyer, count(*) c FROM (SELECT min(buyer) AS buyer, day FROM orders GROUP BY day) GROUP BY buyer;

-- proven | month = cast(date_trunc('month', day) AS date) | 0
SELECT cast(date_trunc('month', day) AS date) AS month, day, count(*) x FROM orders GROUP BY day;
SELECT cast(date_trunc('month', day) AS date) AS month, count(DISTINCT buyer) x FROM orders GROUP BY ALL;
SELECT CAST(datetrunc('month', CAST(day AS timestamp)) AS date) AS month, count(*) x FROM orders GROUP BY 1;
SELECT cast(date_trunc('month', w) AS date) AS month, w, count(*) n FROM (SELECT cast(date_trunc('week', day) AS date)
    w FROM orders) GROUP BY w;

-- refused | month = cast(date_trunc('month', day) AS date) | 0
SELECT cast(date_trunc('month', min(day)) AS date) AS month, date_trunc('week', day) w, count(*) n FROM orders GROUP
    BY w;

-- proven | month = cast(date_trunc('month', moment) AS date) | 0
SELECT cast(date_trunc('month', moment) AS date) AS month, cast(moment AS date) AS day, count(*) x FROM orders GROUP
    BY ALL;

-- proven | year = cast(year(day) AS integer) | 0
SELECT cast(extract(year FROM day) AS integer) AS year, cast(date_trunc('month', day) AS date) m, sum(amount) x FROM
    orders GROUP BY 1, m;
SELECT cast(year(m) AS integer) AS year, m, n FROM (SELECT cast(date_trunc('month', day) AS date) m, count(*) n FROM
    orders GROUP BY 1);

-- refused | year = cast(year(day) AS integer) | 0
SELECT cast(year(min(day)) AS integer) AS year, month(day) AS m, count(*) n FROM orders GROUP BY m;

-- == Windows

-- proven | day | 0
SELECT day, id, row_number() OVER (PARTITION BY day ORDER BY id) x FROM orders;
SELECT day, id, sum(amount) OVER (PARTITION BY day, buyer ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) x FROM
    orders;
SELECT day, id FROM orders QUALIFY row_number() OVER (PARTITION BY buyer, day ORDER BY id DESC) = 1;
SELECT day, id, sum(amount) OVER w x FROM orders WINDOW w AS (PARTITION BY day ORDER BY id);
SELECT day, n FROM (SELECT day, count(*) n, max(day) OVER (PARTITION BY day) FROM orders GROUP BY day);
SELECT day, buyer, n FROM (SELECT day, buyer, count(*) n FROM orders GROUP BY ALL) QUALIFY rank() OVER (PARTITION BY
    day ORDER BY n DESC) = 1;
SELECT day, ntile(2) OVER (PARTITION BY day ORDER BY id) x, id FROM orders;

-- refused | day | 0
SELECT day, sum(sum(amount)) OVER (ORDER BY day) x FROM orders GROUP BY day;
SELECT day, id, lag(id) OVER (PARTITION BY buyer ORDER BY day, id) x FROM orders;
SELECT day, id FROM orders QUALIFY row_number() OVER (PARTITION BY buyer ORDER BY id) = 1;
SELECT sent AS day, id FROM orders QUALIFY row_number() OVER (PARTITION BY day ORDER BY id) = 1;
SELECT day, count(*) OVER () x, id FROM orders;
SELECT day, rank() OVER (ORDER BY count(*), day) x FROM orders GROUP BY day;
SELECT day, id FROM (SELECT day, id, dense_rank() OVER (ORDER BY buyer, id) k FROM orders) WHERE k <= 3;
SELECT day, sum(CASE WHEN sent = day THEN 1 ELSE 0 END) OVER (PARTITION BY sent) x, id FROM orders;
SELECT b.day, count(*) x FROM (SELECT day, lead(day) OVER (ORDER BY day, id) AS nxt FROM orders) a JOIN orders b ON
    b.day = a.nxt GROUP BY b.day;
SELECT day, id, geomean(amount) OVER (PARTITION BY buyer) x FROM orders;
SELECT sent AS day, id, max(id) OVER (PARTITION BY day) x FROM orders;
WITH o AS (SELECT day, id FROM orders), r AS (SELECT sent AS day, id FROM orders) SELECT r.day, o.id FROM o JOIN r ON
    r.id = o.id QUALIFY count(*) OVER (PARTITION BY o.day) > 1;
SELECT returns.day, count(*) OVER (PARTITION BY o2.day) x, returns.id FROM orders returns JOIN returns o2 ON
    o2.order_id = returns.id;
SELECT sent AS day, id, sum(id) OVER (PARTITION BY day) AS s FROM orders;
SELECT sent AS day, count(*) c FROM orders GROUP BY sent, buyer, day HAVING count(*) FILTER (WHERE day IS NOT NULL) >
    0 QUALIFY row_number() OVER (PARTITION BY buyer ORDER BY c, orders.day, sent) = 1;
SELECT day, list(id ORDER BY id)[1] f, count(*) OVER () n FROM orders GROUP BY day;
FROM (FROM orders SELECT *, first_value(day) OVER (PARTITION BY buyer ORDER BY id) AS f) SELECT f AS day, count(*) c
    GROUP BY f;
SELECT cast(moment AS date) AS day, count(*) OVER (PARTITION BY date_trunc('hour', moment)) x, sum(amount) OVER
    (PARTITION BY day) y FROM orders;
SELECT day, n FROM (SELECT day, count(*) n FROM orders GROUP BY ALL) QUALIFY rank() OVER (ORDER BY n DESC) = 1;
SELECT day, percent_rank() OVER (ORDER BY amount, id) x, id FROM orders;
SELECT o.day, o.id FROM orders o, orders p WHERE o.day = p.sent AND p.day = p.sent AND o.buyer = p.buyer QUALIFY
    count(*) OVER (PARTITION BY p.buyer) > 1;
SELECT day, id FROM (SELECT day, id, sent AS day_2 FROM orders) QUALIFY count(*) OVER (PARTITION BY day_2) > 1;

-- proven | buyer | 0
SELECT buyer, day, sum(sum(amount)) OVER (PARTITION BY buyer ORDER BY day) x FROM orders WHERE day IS NOT NULL GROUP
    BY buyer, day;

-- proven | month = cast(date_trunc('month', day) AS date) | 0
SELECT month, day, id, row_number() OVER (PARTITION BY day ORDER BY id) r FROM (SELECT *, cast(date_trunc('month',
    day) AS date) AS month FROM orders);

-- refused | month = cast(date_trunc('month', day) AS date) | 0
SELECT cast(date_trunc('month', day) AS date) AS month, day, sum(n) OVER (ORDER BY day) x FROM (SELECT day, count(*) n
    FROM orders GROUP BY day);
SELECT cast(date_trunc('month', day) AS date) AS month, day, dense_rank() OVER (PARTITION BY date_trunc('year', day)
    ORDER BY day, id) r, id FROM orders;
SELECT cast(date_trunc('month', day) AS date) AS month, id, row_number() OVER (PARTITION BY date_trunc('week', day)
    ORDER BY id) r FROM orders;

-- proven | year = cast(year(day) AS integer) | 0
SELECT cast(year(day) AS integer) AS year, id, row_number() OVER (PARTITION BY date_trunc('quarter', day) ORDER BY id)
    r FROM orders;

-- refused | year = cast(year(day) AS integer) | 0
SELECT cast(year(day) AS integer) AS year, id, row_number() OVER (PARTITION BY date_trunc('week', day) ORDER BY id) r
    FROM orders;
SELECT cast(year(day) AS integer) AS year, id, row_number() OVER (PARTITION BY month(day) ORDER BY id) r FROM orders;
SELECT cast(isoyear(day) AS integer) AS year, cast(year(day) as integer) y, count(*) c, sum(count(*)) OVER (PARTITION
    BY y) s FROM orders GROUP BY isoyear(day), y;

-- == Rows by their order

-- proven | day | 0
SELECT DISTINCT ON (day) day, id FROM orders ORDER BY id;

-- refused | day | 0
SELECT day, id FROM orders ORDER BY amount DESC, id LIMIT 2;
SELECT day, id FROM orders ORDER BY id OFFSET 2;
SELECT DISTINCT ON (buyer) day, buyer, id FROM orders ORDER BY buyer, id;
SELECT day, x FROM (SELECT day, sum(amount) x FROM orders GROUP BY day) ORDER BY x DESC, day LIMIT 1;
SELECT day, max(amount) x FROM (SELECT * FROM orders ORDER BY id LIMIT 3) GROUP BY day;

-- == Joins

-- proven | day | 0
SELECT o.day, o.id, r.amount FROM orders o JOIN returns r ON r.day = o.day AND r.buyer = o.buyer;
SELECT o.day, o.id, r.amount FROM orders o, returns r WHERE o.day = r.day;
SELECT day, o.id, r.amount FROM orders o LEFT JOIN returns r USING (day, buyer);
SELECT day, o.id, r.id AS rid FROM orders o FULL JOIN returns r USING (day);
SELECT coalesce(r.day, o.day) AS day, o.id, r.id AS rid FROM orders o FULL JOIN returns r ON r.day = o.day AND r.buyer
    = o.buyer;
SELECT r.day, o.id, r.id AS rid FROM orders o RIGHT JOIN returns r ON r.day = o.day;
SELECT o.day, o.id, b.segment FROM orders o LEFT JOIN buyers b ON b.buyer = o.buyer;
SELECT o.day, b.segment, count(*) x FROM orders o JOIN buyers b USING (buyer) GROUP BY ALL;
SELECT o.day, o.id FROM orders o SEMI JOIN returns r ON r.day = o.day;
SELECT o.day, o.id FROM orders o ANTI JOIN returns r ON r.day = o.day AND r.buyer = o.buyer;
WITH a AS (SELECT day, sum(amount) x FROM orders GROUP BY day), b AS (SELECT day, sum(amount) y FROM returns GROUP BY
    day) SELECT a.day, x, y FROM a LEFT JOIN b ON a.day = b.day;
WITH a AS (SELECT * FROM orders), b AS (SELECT day AS d, count(*) c FROM a GROUP BY 1) SELECT a.day, a.id, b.c FROM a
    JOIN b ON b.d = a.day;
SELECT o.day, o.id, g.i FROM orders o, generate_series(1, 2) g(i);
SELECT c.day, count(o.id) x FROM calendar c LEFT JOIN orders o ON o.day = c.day GROUP BY c.day;
SELECT c.day, o.id FROM orders o JOIN calendar c ON c.day = o.day;
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT o.day, o.id, n.i FROM orders o,
    n;
SELECT a.day, a.id, b.id AS other FROM orders a JOIN orders b ON a.day = b.day AND a.id < b.id;
SELECT o.day, o.id, r.id AS rid FROM orders o JOIN returns r ON r.day IS NOT DISTINCT FROM o.day;
SELECT o.day, count(*) x FROM orders o LEFT JOIN returns r ON r.order_id = o.id AND r.day = o.day AND r.day >= o.day
    GROUP BY o.day;
SELECT r.day, count(*) x FROM orders o LEFT JOIN returns r ON r.day = o.day WHERE r.day IS NOT NULL GROUP BY r.day;
SELECT o.day, o.id, p.id AS pid FROM orders o JOIN parcels p ON p.sent = o.day;
SELECT o.day, o.id, r.id AS rid FROM orders o JOIN returns r ON r.day <= o.day;
SELECT o.day, o.id, r.id AS rid FROM orders o JOIN returns r ON r.order_id = o.id AND o.sent = r.day;
SELECT c.day, count(o.id) x FROM calendar c LEFT JOIN orders o ON o.day <= c.day GROUP BY c.day;
SELECT o.day, o.id FROM orders o ANTI JOIN returns r ON r.buyer = o.buyer;
SELECT o.day, o.id, p.id AS pid FROM orders o LEFT JOIN parcels p ON p.id = o.id AND p.sent > o.day;
SELECT a.day, a.id FROM orders a ANTI JOIN orders b ON a.day = b.day AND a.id < b.id;
SELECT p.sent AS day, o.id FROM orders o JOIN parcels p ON o.day = p.day AND o.id = p.id;
SELECT max(day) AS day, id, max(b.segment) s FROM orders o LEFT JOIN buyers b USING (buyer) GROUP BY id;
SELECT o.day, o.id, o.day = r.day AS same FROM orders o LEFT JOIN returns r ON r.day = o.day AND r.order_id = o.id;
SELECT r.day, o.id FROM orders o LEFT JOIN returns r ON r.order_id = o.id;
SELECT day, count(*) x FROM orders NATURAL JOIN rates GROUP BY day;
SELECT o.day, o.id FROM orders o, orders p WHERE o.day = p.sent AND p.day = p.sent AND o.id < p.id;

-- refused | day | 0
SELECT coalesce(r.day, DATE '2031-01-30') AS day, o.id FROM orders o LEFT JOIN returns r ON r.day = o.day;
SELECT o.day, o.id FROM orders o SEMI JOIN orders r ON r.buyer = o.buyer AND r.id <> o.id;
SELECT a.day, count(*) x FROM (SELECT buyer, day + 1 AS day FROM orders) a JOIN orders b ON b.day = a.day GROUP BY
    a.day;
SELECT o.day, p.day AS pday, count(*) x FROM orders o JOIN orders p ON p.buyer = o.buyer GROUP BY ALL;
SELECT coalesce(o.day, c.day) AS day, count(*) x FROM calendar c FULL JOIN orders o ON o.buyer = c.weekday GROUP BY 1;
SELECT a.sent AS day, a.id FROM orders a ANTI JOIN orders b ON a.day = b.day AND a.sent = b.day AND a.id < b.id;
SELECT a.sent AS day, a.id, b.id AS bid FROM orders a LEFT JOIN orders b ON a.day = b.day AND a.sent = b.day AND a.id
    < b.id;
SELECT a.day, b.id FROM orders a FULL JOIN orders b ON a.day = b.sent AND a.id = b.id;
SELECT p.sent AS day, count(*) x FROM parcels p LEFT JOIN parcels q ON p.day = p.sent AND q.day = p.day GROUP BY
    p.sent;
WITH RECURSIVE n AS (SELECT min(day) AS d FROM orders UNION ALL SELECT d + 1 FROM n WHERE d < DATE '2031-01-31')
    SELECT o.day, o.id FROM orders o JOIN n ON n.d = o.day;
WITH RECURSIVE n AS (SELECT day AS d, 1 AS i FROM orders UNION SELECT d + 1, i + 1 FROM n WHERE i < 3) SELECT o.day,
    count(*) x FROM orders o JOIN n ON n.d = o.day GROUP BY o.day;

-- proven | buyer | 0
SELECT o.buyer, o.id, b.segment FROM orders o JOIN buyers b ON b.buyer = o.buyer WHERE b.segment = 'a';

-- == As-of joins

-- proven | day | 0
SELECT o.day, o.id, r.rate FROM orders o ASOF LEFT JOIN rates r ON r.day <= o.day;
SELECT o.day, sum(o.amount * r.rate) x FROM orders o ASOF JOIN rates r ON o.day >= r.day GROUP BY o.day;
SELECT o.day, o.id, r.id AS rid FROM orders o ASOF JOIN returns r ON o.buyer = r.buyer AND o.day >= r.day;
SELECT day, o.id, r.rate FROM orders o ASOF LEFT JOIN rates r USING (day);
SELECT o.day, o.id, r.id AS rid FROM orders o ASOF JOIN orders r ON r.day = o.day AND o.id > r.id;

-- refused | day | 0
SELECT day, o.id, r.id AS rid FROM orders o ASOF JOIN orders r USING (buyer, day);
SELECT o.day, o.id, r.id AS rid FROM orders o ASOF JOIN orders r ON r.buyer = o.buyer AND o.day > r.day;

-- == Lateral joins

-- proven | day | 0
SELECT o.day, o.id, t.x FROM orders o, LATERAL (SELECT sum(r.amount) x FROM returns r WHERE r.day = o.day) t;
SELECT o.day, x.c FROM orders o LEFT JOIN LATERAL (SELECT count(*) c FROM returns r WHERE r.day = o.day) x ON true;

-- refused | day | 0
SELECT o.day, t.id FROM orders o, LATERAL (SELECT i.id FROM orders i WHERE i.buyer = o.buyer ORDER BY i.id LIMIT 1) t;
SELECT o.day, o.id, x.c FROM orders o LEFT JOIN LATERAL (SELECT count(*) c FROM orders r WHERE r.day < o.day) x ON
    true;
SELECT o.day, o.id, x.rid FROM orders o LEFT JOIN LATERAL (SELECT r.id rid FROM orders r WHERE r.buyer = o.buyer ORDER
    BY r.id LIMIT 1) x ON x.rid < o.id;

-- == Subqueries

-- proven | day | 0
SELECT day, id FROM orders o WHERE EXISTS (SELECT 1 FROM returns r WHERE r.day = o.day AND r.amount > o.amount);
SELECT day, id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM returns r WHERE r.day = o.day);
SELECT day, id FROM orders WHERE day IN (SELECT day FROM returns WHERE amount > 2);
SELECT day, id, (SELECT count(*) FROM returns r WHERE r.day = o.day) AS x FROM orders o;
SELECT day, amount / (SELECT sum(i.amount) FROM orders i WHERE i.day = o.day) AS x FROM orders o;
SELECT day, id FROM orders o WHERE id = (SELECT max(id) FROM orders i WHERE i.day = o.day);
SELECT o.day, o.id FROM orders o WHERE o.buyer IN (SELECT r.buyer FROM returns r WHERE r.day = o.day);
SELECT o.day, o.id, n.nth FROM orders o CROSS JOIN (SELECT row_number() OVER (ORDER BY buyer) nth, buyer FROM buyers)
    n WHERE n.buyer = o.buyer;
SELECT o.day, o.id FROM orders o NATURAL JOIN (SELECT day, buyer FROM returns) r;
SELECT o.day, o.id, (SELECT max(segment) FROM buyers) AS s FROM orders o;
SELECT day, id FROM orders WHERE day NOT IN (SELECT day FROM returns);
SELECT o.day, o.id FROM orders o WHERE (SELECT count(*) FROM returns r WHERE r.buyer = o.buyer AND r.day <> o.day) =
    0;
SELECT day, id FROM orders o WHERE NOT (buyer IN (SELECT buyer FROM returns r WHERE r.day > o.day));
SELECT day, id, (SELECT count(*) FROM returns WHERE day = day) x FROM orders;
SELECT day, id, (SELECT count(*) FROM returns r WHERE r.day = orders.day) x FROM orders;
SELECT day, id FROM orders o WHERE EXISTS (SELECT 1 FROM returns day WHERE day.day = o.day);
SELECT day, id FROM orders o WHERE EXISTS (SELECT 1 FROM returns o WHERE o.day = o.day AND o.amount > 3);
SELECT day, id FROM orders WHERE day IS NOT NULL AND buyer NOT IN (SELECT buyer FROM buyers WHERE buyer IS NOT NULL);
SELECT day, id, day IN (SELECT r.day FROM returns r WHERE r.day = o.day) y FROM orders o;
SELECT o.day, c.n FROM orders o JOIN (SELECT buyer, day, count(*) n FROM orders GROUP BY ALL) c USING (buyer, day);
SELECT o.day, o.id FROM orders o WHERE o.day IN (SELECT r.day FROM returns r WHERE r.buyer = o.buyer LIMIT 1);
SELECT coalesce(a.day, b.day) AS day, a.n, b.n AS m FROM (SELECT day, count(*) n FROM orders GROUP BY day) a FULL JOIN
    (SELECT day, count(*) n FROM returns GROUP BY day) b ON a.day = b.day;
SELECT day, id, (SELECT any_value(rate) FROM rates) r FROM orders;
SELECT o.day, o.id, z.n FROM orders o, (buyers b CROSS JOIN (SELECT count(*) n FROM returns r WHERE r.day = o.day) z)
    WHERE b.buyer = o.buyer;

-- refused | day | 0
SELECT day, count(*) / (SELECT count(*) FROM orders) AS x FROM orders GROUP BY day;
SELECT day, id FROM orders WHERE amount > (SELECT avg(amount) FROM orders);
SELECT day, id FROM orders o WHERE EXISTS (SELECT 1 FROM orders i WHERE i.buyer = o.buyer AND i.day < o.day);
SELECT day, id FROM orders WHERE buyer IN (SELECT buyer FROM orders WHERE amount > 3);
SELECT day, sum(amount) x FROM orders GROUP BY day HAVING sum(amount) > (SELECT avg(amount) FROM orders);
SELECT a.sent AS day, a.id, (SELECT count(*) FROM orders b WHERE a.day = b.day AND a.sent = b.day) n FROM orders a;
SELECT day, id FROM orders WHERE (day IN (SELECT day FROM orders WHERE amount > 4)) IS NOT TRUE AND day NOT IN (SELECT
    sent FROM orders);
SELECT day, id, day IN (SELECT r.day FROM orders r WHERE amount > 4) y FROM orders o;
SELECT CASE WHEN amount > 3 THEN day ELSE sent END AS day, count(*) c FROM orders GROUP BY 1 HAVING count(*) > (SELECT
    min(amount) FROM orders);
SELECT day, sum(amount) FILTER (WHERE id = (SELECT max(id) FROM orders)) s FROM orders GROUP BY day;
SELECT o.day, c.n FROM orders o JOIN (SELECT buyer, count(*) n FROM orders GROUP BY buyer) c USING (buyer);
SELECT day, n FROM orders o NATURAL JOIN (SELECT buyer, max(day) AS day, count(*) n FROM orders GROUP BY buyer) c;
SELECT o.day, o.id, g.i FROM generate_series(1, (SELECT count(*) FROM orders WHERE day = DATE '2031-01-30')) g(i),
    orders o;
SELECT i, DATE '2031-01-29' AS day FROM generate_series(1, (SELECT count(*) FROM orders WHERE day = DATE
    '2031-01-30')) g(i);
SELECT o.day, o.id FROM orders o WHERE EXISTS (SELECT 1 FROM (SELECT day AS rday, unnest({'day': day}) FROM returns) r
    WHERE r.rday = day);
SELECT coalesce(a.day, b.day) AS day, a.n, b.n AS m FROM (SELECT day, count(*) n FROM orders GROUP BY day) a FULL JOIN
    (SELECT day, count(*) n FROM returns GROUP BY day) b ON a.n = b.n;
SELECT day, id FROM orders WHERE (SELECT bool_or(amount > 5) FROM orders);
SELECT DISTINCT ON (c.weekday) c.weekday, c.day FROM calendar c ORDER BY c.weekday, (SELECT count(*) FROM orders o
    WHERE o.day = c.day), c.day;
SELECT o.day, o.id FROM orders o JOIN buyers b ON b.buyer = o.buyer AND EXISTS (SELECT 1 FROM orders r WHERE r.day =
    DATE '2031-01-30');
SELECT a.sent AS day, a.id, count(*) c FROM orders a JOIN (SELECT sent AS s FROM orders) b ON b.s = a.day GROUP BY
    a.sent, a.day, a.id HAVING day = a.sent;
SELECT o.day, o.id FROM orders o WHERE EXISTS (SELECT 1 FROM orders amount WHERE amount IS NULL AND amount.buyer =
    o.buyer);
SELECT o.day, o.id, z.n FROM orders o, (buyers b CROSS JOIN (SELECT count(*) n FROM orders r WHERE r.day < o.day) z)
    WHERE b.buyer = o.buyer;

-- proven | buyer | 0
SELECT DISTINCT ON (b.buyer) b.buyer, c.weekday FROM buyers b, calendar c ORDER BY b.buyer, (SELECT count(*) FROM
    orders o WHERE o.day = c.day), c.day;

-- == Set operations

-- proven | day | 0
SELECT day, amount FROM orders UNION ALL SELECT day, -amount FROM returns;
SELECT day, buyer FROM orders UNION SELECT day, buyer FROM returns;
SELECT day, buyer FROM orders EXCEPT SELECT day, buyer FROM returns;
SELECT day, buyer FROM orders INTERSECT SELECT day, buyer FROM returns;
SELECT amount, day FROM orders UNION ALL BY NAME SELECT day, amount FROM returns;
SELECT day, sum(x) x FROM (SELECT day, amount x FROM orders UNION ALL SELECT day, -amount FROM returns) GROUP BY day;
SELECT day, id FROM orders UNION ALL SELECT day, 0 FROM calendar;

-- refused | day | 0
SELECT day, amount FROM orders UNION ALL SELECT sent, amount FROM (SELECT sent, amount FROM orders ORDER BY id LIMIT
    1);
SELECT day, buyer FROM orders EXCEPT SELECT sent, buyer FROM orders;
SELECT day, id FROM orders UNION ALL SELECT max(day), 0 FROM orders;
SELECT day, id FROM orders UNION ALL SELECT sent, id FROM orders WHERE id NOT IN (SELECT id FROM orders WHERE day IS
    NULL);

-- == Lookback

-- proven | day | 1
SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM orders GROUP BY day;
SELECT day, n, lag(n, 1) OVER (ORDER BY day) x FROM (SELECT day, count(*) n FROM orders GROUP BY day);
SELECT c.day, o.n, b.n AS before FROM calendar c LEFT JOIN (SELECT day, count(*) n FROM orders GROUP BY day) o ON
    o.day = c.day LEFT JOIN (SELECT day, count(*) n FROM orders GROUP BY day) b ON b.day = c.day - 1;
SELECT o.day, o.n, b.n AS before, c.weekday FROM (SELECT day, count(*) n FROM orders GROUP BY day) o LEFT JOIN (SELECT
    day, count(*) n FROM orders GROUP BY day) b ON b.day = o.day - 1 LEFT JOIN calendar c ON c.day = o.day;
SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM orders GROUP BY day QUALIFY count(*) > 1;

-- refused | day | 1
SELECT day, buyer, lag(count(*)) OVER (PARTITION BY buyer ORDER BY day) x FROM orders GROUP BY day, buyer;
SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM orders WHERE amount > 3 GROUP BY day;
SELECT o.day, lag(count(*)) OVER (ORDER BY o.day) x FROM orders o JOIN calendar c ON c.day = o.day GROUP BY o.day;
SELECT day, lag(count(*), 2) OVER (ORDER BY day) x FROM orders GROUP BY day;
SELECT day, lead(count(*)) OVER (ORDER BY day) x FROM orders GROUP BY day;
SELECT day, lag(count(*)) OVER (ORDER BY day DESC) x FROM orders GROUP BY day;
SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM (SELECT day FROM orders UNION ALL SELECT day FROM returns) GROUP
    BY day HAVING count(*) > 1;
WITH m AS (SELECT day, count(*) n FROM orders GROUP BY 1) SELECT a.day, a.n, b.n AS after FROM m a LEFT JOIN m b ON
    b.day = a.day + 1;
WITH m AS (SELECT day, count(*) n FROM orders GROUP BY 1) SELECT a.day, a.n, b.n AS before FROM m a LEFT JOIN m b ON
    b.day = a.day - 3;
SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM orders GROUP BY day HAVING count(*) > 1;
SELECT day, lag(n ORDER BY n) OVER (ORDER BY day) x FROM (SELECT day, count(*) n FROM orders GROUP BY day);
SELECT o.day, lag(count(*)) OVER (ORDER BY o.day) x, (SELECT max(segment) FROM buyers) s FROM orders o SEMI JOIN
    calendar c ON c.day = o.day GROUP BY o.day;
SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM (SELECT day, unnest(range(cast(amount AS bigint) // 4)) u FROM
    orders) GROUP BY day;
SELECT day, n, s, lag(n) OVER (ORDER BY day) x FROM (SELECT day, (SELECT max(c.weekday) FROM calendar c WHERE c.day >
    o.sent) AS s, count(*) n FROM orders o GROUP BY ALL);
WITH m AS (SELECT day, count(*) n FROM orders GROUP BY 1) SELECT a.day, a.n, b.n AS after FROM m a LEFT JOIN m b ON
    b.day = cast(a.day - INTERVAL (-1) DAY AS date);
WITH m AS (SELECT day, lag(count(*)) OVER (ORDER BY day) n FROM orders GROUP BY 1) SELECT a.day, b.n AS before FROM m
    a LEFT JOIN m b ON b.day = a.day - 1;
SELECT c.day, o.n, b.n AS before FROM (SELECT day FROM calendar ORDER BY day LIMIT 100) c LEFT JOIN (SELECT day,
    count(*) n FROM orders GROUP BY day) o ON o.day = c.day LEFT JOIN (SELECT day, count(*) n FROM orders GROUP BY
    day) b ON b.day = c.day - 1;

-- proven | day | 2
SELECT day, avg(n) OVER (ORDER BY day ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) x FROM (SELECT day, count(*) n FROM
    orders GROUP BY day);
SELECT day, lag(x) OVER (ORDER BY day) x FROM (SELECT day, lag(count(*)) OVER (ORDER BY day) x FROM orders GROUP BY
    day);
SELECT day, n, lag(n) OVER (ORDER BY day) x, lag(n, 2) OVER (ORDER BY day) y FROM (SELECT day, count(*) n FROM orders
    GROUP BY day);
WITH m AS (SELECT day, lag(count(*)) OVER (ORDER BY day) n FROM orders GROUP BY 1) SELECT a.day, b.n AS before FROM m
    a LEFT JOIN m b ON b.day = a.day - 1;

-- refused | day | 2
SELECT day, lag(x) OVER (ORDER BY day) x FROM (SELECT day, lag(count(*), 2) OVER (ORDER BY day) x FROM orders GROUP BY
    day);
SELECT day, lag(y) OVER (ORDER BY day) z FROM (SELECT day, lag(n, 2) OVER (ORDER BY day) y FROM (SELECT day, count(*)
    n FROM orders GROUP BY day));

-- proven | day | 3
WITH m AS (SELECT day, count(*) n FROM orders GROUP BY 1) SELECT a.day, a.n, b.n AS before FROM m a LEFT JOIN m b ON
    b.day = a.day - 3;

-- proven | month = cast(date_trunc('month', day) AS date) | 1
WITH m AS (SELECT cast(date_trunc('month', day) AS date) AS month, count(*) n FROM orders GROUP BY 1) SELECT a.month,
    a.n, b.n AS before FROM m a LEFT JOIN m b ON b.month = cast(a.month - INTERVAL 1 MONTH AS date);
WITH m AS (SELECT day, count(*) n FROM orders GROUP BY 1) SELECT cast(date_trunc('month', a.day) AS date) AS month,
    a.day, a.n, b.n AS before FROM m a LEFT JOIN m b ON b.day = cast(a.day - INTERVAL 7 DAY AS date);
SELECT month, n, lag(n) OVER (ORDER BY month) x FROM (SELECT cast(date_trunc('month', day) AS date) AS month, count(*)
    n FROM orders GROUP BY 1);

-- refused | month = cast(date_trunc('month', day) AS date) | 1
WITH m AS (SELECT day, count(*) n FROM orders GROUP BY 1) SELECT cast(date_trunc('month', a.day) AS date) AS month,
    a.day, b.n AS before FROM m a LEFT JOIN m b ON b.day = cast(a.day - INTERVAL 62 DAY AS date);
WITH m AS (SELECT cast(date_trunc('month', day) AS date) AS month, count(*) n FROM orders GROUP BY 1) SELECT a.month,
    a.n, b.n AS before FROM m a LEFT JOIN m b ON b.month = cast(a.month - INTERVAL 1 YEAR AS date);

-- proven | month = cast(date_trunc('month', day) AS date) | 2
WITH m AS (SELECT cast(date_trunc('month', day) AS date) AS month, count(*) n FROM orders GROUP BY 1) SELECT a.month,
    a.n, b.n AS before FROM m a LEFT JOIN m b ON b.month = cast(a.month - INTERVAL 2 MONTH AS date);
