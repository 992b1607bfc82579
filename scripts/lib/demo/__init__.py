"""The demo: a real Home Assistant with simulated cameras, set up and driven as a client would."""
