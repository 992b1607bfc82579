"""Tests in layers: lib (no Home Assistant), integration (its core), e2e (a real server)."""
