"""The server of `lstmgen serve`: models over HTTP, by the completions API of OpenAI."""
