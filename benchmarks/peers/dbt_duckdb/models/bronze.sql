{{ config(incremental_strategy='append') }}
SELECT *, '{{ invocation_id }}' AS _batch
FROM read_csv('landing/*.csv', auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', new_line = '\n',
    columns = {
        'order_id': 'VARCHAR', 'line_id': 'VARCHAR', 'customer_id': 'VARCHAR', 'product_id': 'VARCHAR',
        'country': 'VARCHAR', 'quantity': 'VARCHAR', 'unit_price': 'VARCHAR', 'tax': 'VARCHAR', 'discount': 'VARCHAR',
        'currency': 'VARCHAR', 'order_ts': 'VARCHAR', 'updated_at': 'VARCHAR', 'status': 'VARCHAR', 'note': 'VARCHAR'})
