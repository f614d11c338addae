"""The generated report: templates filled with what the records say."""
