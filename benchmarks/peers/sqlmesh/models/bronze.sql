MODEL (name lake.bronze, kind INCREMENTAL_BY_TIME_RANGE (time_column _batch_date));
SELECT *, CAST(@end_ds AS DATE) AS _batch_date
FROM READ_CSV('landing/*.csv', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', new_line = '\n',
    columns = {
        'order_id': 'VARCHAR', 'line_id': 'VARCHAR', 'customer_id': 'VARCHAR', 'product_id': 'VARCHAR',
        'country': 'VARCHAR', 'quantity': 'VARCHAR', 'unit_price': 'VARCHAR', 'tax': 'VARCHAR', 'discount': 'VARCHAR',
        'currency': 'VARCHAR', 'order_ts': 'VARCHAR', 'updated_at': 'VARCHAR', 'status': 'VARCHAR', 'note': 'VARCHAR'})
