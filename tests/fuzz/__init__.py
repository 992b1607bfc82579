"""Whatever bytes come over the network: fuzz targets, shared by the suite and ``scripts/fuzz``."""
