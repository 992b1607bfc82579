"""Tests in Home Assistant's core, with a real camera, calendar and vault."""
