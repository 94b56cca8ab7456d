"""Report of a run: model, result files, web page."""
