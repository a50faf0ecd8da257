"""Tables of labelled bags: text, columns, cells, rows."""
