"""The service: its four panels, with the expressions that hold where the first ones misled."""

from __future__ import annotations

from parts import board, curves, query

# Probes and scrapes are most of the traffic of a quiet service, and nobody waits for them.
CHOSEN = 'job="slipway-service", namespace="slipway-$environment", endpoint!~"/health|/ready|/metrics"'
ALL = f"sum by (job) (rate(app_requests_total{{{CHOSEN}}}[5m]))"
ERRORS = f'sum by (job) (rate(app_requests_total{{{CHOSEN}, status=~"5.."}}[5m]))'
P95 = f"histogram_quantile(0.95, sum by (job, le) (rate(app_request_latency_seconds_bucket{{{CHOSEN}}}[5m]))) >= 0"
RESTARTS = (
    "round(sum by (namespace) "
    '(increase(kube_pod_container_status_restarts_total{namespace="slipway-$environment"}[15m])))'
)

RATE_SAYS = """Requests per second over all pods, without probes and scrapes.

First written as rate(app_requests_total[5m]): a curve for every pod, method, path and status, none of which is the \
rate of the service, and most of them probes.

0 is a service that nobody asks; a gap is a service that nobody could scrape."""

ERRORS_SAYS = """The share of requests that were answered with 5xx, over all pods and paths.

First written as rate(app_requests_total{status=~"5.."}[5m]) / rate(app_requests_total[5m]) * 100: both sides keep \
their labels, so every series of errors is divided by itself and the panel shows 100 or nothing.

0 also where nobody asks, or where no error was ever counted; a gap is a service that nobody could scrape."""

P95_SAYS = """The time within which 95 % of the requests were answered, over all pods and paths. The line is the \
objective.

First written as histogram_quantile(0.95, rate(app_request_latency_seconds_bucket[5m])): a percentile for every pod \
and path; they can be neither added nor averaged, and the worst is that of a path that one request took.

A gap where nobody asks: a percentile of nothing is no number."""

RESTARTS_SAYS = """Restarts of containers within the last 15 minutes, over all pods of the environment.

First written as kube_pod_container_status_restarts_total{namespace="default"}: another namespace, and a count since \
each pod began, which stays high long after the trouble and falls when a pod is replaced.

0 where nothing restarts; a gap where kube-state-metrics says nothing of this namespace."""


def dashboard():
    """The service's dashboard."""
    errors = f"100 * {ERRORS} / ({ALL} > 0)\nor 0 * {ALL}"
    panels = [
        curves("Request rate", RATE_SAYS, "reqps", query(ALL, "requests")),
        curves("Error rate", ERRORS_SAYS, "percent", query(errors, "5xx")),
        curves("P95 latency", P95_SAYS, "s", query(P95, "95 % are faster"), limit=0.3),
        curves("Pod restarts", RESTARTS_SAYS, "short", query(RESTARTS, "restarts in 15 min")),
    ]
    about = "What the service's users get: traffic, errors, latency, and pods that do not stay up."
    made = board(
        "slipway-service", "Slipway: service", about, 'label_values(up{job="slipway-service"}, namespace)', since="1h"
    )
    for number, panel in enumerate(panels, start=1):
        made = made.with_panel(panel.id(number))
    return made
