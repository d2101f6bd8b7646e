"""One module a stage: a pure function on arrays, and the thin PTransform that runs it in a pipeline."""
