"""The APIs below ``/api``: HTTP requests and responses whose bodies are frames."""
