"""Delivery: what runs where, the four DORA numbers, what the gates said; from what `./inv observe.metrics` writes."""

from __future__ import annotations

from parts import WIDE, board, curves, lines, number, query

HERE = 'environment="$environment"'
RUNS = """max by (environment, sha, action, arrived) (
  (time() - slipway_release_timestamp_seconds{environment!=""})
  * on (environment, sha) group_left (arrived) slipway_release_info{environment!=""}
)"""
FREQUENCY = f'7 / 30 * sum by (environment) (slipway_recent_deploys{{{HERE}, outcome="arrived"}})'
LEAD = f"max by (environment) (slipway_lead_time_seconds{{{HERE}}})"
FAILURES = f"""clamp_max(
  100 * sum by (environment) (slipway_recent_rollbacks{{{HERE}}})
  / (sum by (environment) (slipway_recent_deploys{{{HERE}}}) > 0),
  100
)"""
RESTORE = f"max by (environment) (slipway_restore_time_seconds{{{HERE}}})"
GATES = f"""max by (gate, outcome, tool) (slipway_gate_outcome{{{HERE}}})
* on (gate) group_left ()
(
  sum by (gate) (slipway_gate_findings{{{HERE}}})
  or 0 * max by (gate) (slipway_gate_outcome{{{HERE}}})
)"""

NO_METRICS = "observe.metrics has not written anything"


def dashboard():
    """The dashboard of delivery."""
    panels = [
        lines(
            "What runs where",
            "The release that Git asks for in every environment, for how long, which action brought it, and whether it "
            "arrived: every pod said its commit and the smoke test passed.",
            "s",
            RUNS,
            {"environment": "environment", "sha": "release", "action": "by", "arrived": "arrived", "Value": "for"},
            NO_METRICS,
        ),
        number(
            "Deploys per week",
            "Deployment frequency: deploys and promotions that arrived, of the last 30 days.",
            "suffix: a week",
            FREQUENCY,
            NO_METRICS,
        ),
        number(
            "Lead time",
            "Lead time for changes: the median time from the commit of a release to its first arrival here, of the "
            "last 30 days.",
            "s",
            LEAD,
            "no release",
        ),
        number(
            "Change failure rate",
            "Rollbacks, by hand or automatic, per deploy or promotion, of the last 30 days.",
            "percent",
            FAILURES,
            "no deploy",
        ),
        number(
            "Time to restore",
            "The median time from bringing in a release that was taken back until a release arrived again, of the last "
            "30 days. Git does not know when somebody noticed, so a fault that slept for a day counts a day.",
            "s",
            RESTORE,
            "never needed",
        ),
        curves(
            "Deploys so far",
            "Deploys and promotions since the first one, by how they ended, and rollbacks. Superseded: another release "
            "was brought in before this one arrived.",
            "short",
            query(f"max by (outcome) (slipway_deploys_total{{{HERE}}})", "{{outcome}}"),
            query(f"max by (environment) (slipway_rollbacks_total{{{HERE}}})", "rollbacks", ref="B"),
        ).span(WIDE),
        lines(
            "Gates of the running release",
            "What the gates said when the running release was built, as its signed record tells it, with the number of "
            "findings, waived ones too.",
            "short",
            GATES,
            {"gate": "gate", "outcome": "outcome", "tool": "tool", "Value": "findings"},
            "no signed record",
        ),
    ]
    about = "What runs where, how quickly and how safely it gets there, and what was looked at before."
    made = board(
        "slipway-delivery",
        "Slipway: delivery",
        about,
        "label_values(slipway_metrics_timestamp_seconds, environment)",
        since="7d",
    )
    for place, panel in enumerate(panels, start=1):
        made = made.with_panel(panel.id(place))
    return made
