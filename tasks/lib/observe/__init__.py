"""What is seen of a release: alerts and their checks, dashboards, the delivery log as metrics, snapshots."""
