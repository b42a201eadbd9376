"""The Flask application: routes, and what happens around every request."""

from __future__ import annotations

import logging
import random
import time

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from . import clock, drain, metrics, signals
from .config import SERVICE, Config, Faults
from .problems import problem

log = logging.getLogger("slipway.service")


def create_app(config: Config) -> Flask:
    """The application for one release. Logs a warning when a fault switch is on."""
    app = Flask(SERVICE, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    _observe_requests(app)
    _inject_faults(app, config.faults)
    _answer_errors(app)
    _add_probes(app, config.faults)
    _add_routes(app, config)
    metrics.start_at_zero(rule.rule for rule in app.url_map.iter_rules())
    if config.faults.active():
        log.warning("fault switches are on", extra={"faults": config.faults.active()})
    if config.deployed_as not in ("", config.revision):
        log.error("the image was built from another revision than %s", config.deployed_as)
    return app


def _add_routes(app: Flask, config: Config) -> None:
    version = {
        "service": SERVICE,
        "commit": config.revision or None,
        "build_time": config.build_time or None,
        "image_digest": config.image_digest or None,
    }

    @app.get("/")
    def index() -> Response:
        return jsonify(
            service=SERVICE,
            description="Tells the time in any zone, and which release is answering.",
            release=config.revision or None,
            endpoints=sorted(rule.rule for rule in app.url_map.iter_rules()),
        )

    @app.get("/version")
    def show_version() -> Response:
        return jsonify(version)

    @app.get("/api/time")
    def api_time() -> Response:
        asked = request.args.getlist("zone")
        if len(asked) != 1:
            return problem(400, "give exactly one zone, for example /api/time?zone=Europe/Berlin")
        try:
            return jsonify(clock.now_in(asked[0]))
        except clock.UnknownZone as error:
            return problem(400, str(error))

    @app.get("/metrics")
    def show_metrics() -> Response:
        body, content_type = metrics.render(request.headers.get("Accept"))
        return Response(body, content_type=content_type)


def _add_probes(app: Flask, faults: Faults) -> None:
    @app.get("/health")
    def health() -> Response:
        if faults.unhealthy:
            return problem(503, "liveness is switched off for a drill")
        return jsonify(status="ok")

    @app.get("/ready")
    def ready() -> Response:
        if drain.draining():
            return problem(503, "this instance is stopping")
        if faults.unready:
            return problem(503, "readiness is switched off for a drill")
        return jsonify(status="ready")


def _observe_requests(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        # The request itself: looking for the thread's own at each of a dozen uses takes longer than the uses.
        g.observation = signals.Observation(request._get_current_object())  # type: ignore[attr-defined]

    @app.after_request
    def end(response: Response) -> Response:
        observation: signals.Observation = g.observation
        response.headers["X-Request-ID"] = observation.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        observation.answered(response.status_code)
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        observation: signals.Observation | None = g.get("observation")
        if observation:
            observation.close()


def _inject_faults(app: Flask, faults: Faults) -> None:
    @app.before_request
    def misbehave() -> Response | None:
        # Probes, /version and /metrics stay true: a drill must be seen, and ended, from outside.
        if request.path != "/" and not request.path.startswith("/api/"):
            return None
        if faults.latency_ms:
            time.sleep(faults.latency_ms / 1000)
        if faults.errors and random.random() < faults.errors:  # noqa: S311
            return problem(500, "this error is switched on for a drill")
        return None


def _answer_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        answer = problem(error.code or 500, error.description or "the request cannot be answered")
        for name, value in error.get_headers():
            if name != "Content-Type":  # Allow of a 405, Retry-After and the like
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.error("unhandled error", exc_info=error)
        return problem(500, "the service failed; its log has the reason under this request id")
