"""What crosses a boundary: records, tables, reasons, configuration, and the views over them."""
