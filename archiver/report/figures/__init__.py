"""The figures of a report: SVG, drawn from records, the same bytes for the same data."""
