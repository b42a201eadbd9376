"""Alerts: rules and objectives, Alertmanager routes, and the checks of both."""
