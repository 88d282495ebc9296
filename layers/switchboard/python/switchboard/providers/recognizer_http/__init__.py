"""A recogniser of the operator's own behind HTTP, such as a server over Whisper."""
