"""The rules: meetings, bookings, retention. Pure functions of (state, event, now)."""
