"""An OpenAI-compatible server whose models are strategies over one engine (docs/serve.md)."""
