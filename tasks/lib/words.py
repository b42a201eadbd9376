"""Help texts that several tasks share, so that the same option reads the same everywhere."""

ENV = "environment, a folder of gitops/environments (default: local)"
RELEASE = "commit to work on: SHA, branch or tag (default: HEAD of a clean tree)"
DIRTY = "work on a snapshot of uncommitted changes (only where the environment allows it)"
YES = "agree beforehand; needed where there is no terminal to ask on"
REASON = "why, for the log of the environment"
REPORT = "then write a page with every panel before and after; needs Prometheus (default: none)"
WATCH = "with --report: how long to look at the release first, at most 1h (default: 1m)"
