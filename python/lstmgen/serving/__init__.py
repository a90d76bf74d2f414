"""The server of `lstmgen serve`: models over HTTP, as clients of OpenAI's completions know it."""
