"""Real servers, and the pool, for tests, the demo and measurements.

Everything started here ends with the process that started it, even when that one is killed with -9. Nothing
waits for a fixed time: poll.wait_until() looks at a condition until a deadline."""
