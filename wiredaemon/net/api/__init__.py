"""The APIs below `/api` over HTTP: frames in, frames out."""
