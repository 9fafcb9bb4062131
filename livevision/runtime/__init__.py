"""Everything that knows threads and clocks: links, stages, the pipeline and what it reports."""
