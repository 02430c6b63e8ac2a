"""Results: their words, records, store, statistics and judgement."""
