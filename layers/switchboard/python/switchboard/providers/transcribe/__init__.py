"""Amazon Transcribe: recognises the speech of recordings in jobs, and writes each result into our bucket."""
