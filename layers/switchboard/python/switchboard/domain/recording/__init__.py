"""Hold the values and rules of recordings: facts, status, retry schedule, keys and MP3 length."""
