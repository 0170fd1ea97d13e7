"""What the HTTP API takes and answers, as an OpenAPI 3.1 document; OTLP's own endpoints are described by OTLP."""

from __future__ import annotations

from typing import Any

from otel_ml_exporter.outcomes.ingest import MAX_LABEL, MAX_TEXT
from otel_ml_exporter.outcomes.ledger import OUTCOME_RESULTS

API_VERSION = "1.0.0"

_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_OUTCOME = {
    "type": "object",
    "required": ["model", "prediction_id", "label"],
    "additionalProperties": False,
    "properties": {
        "model": {**_TEXT, "description": "The model whose prediction it is."},
        "prediction_id": {"oneOf": [_TEXT, {"type": "integer"}], "description": "The id that the prediction was given."},
        "label": {
            "oneOf": [{"type": "string", "minLength": 1}, {"type": "number"}, {"type": "boolean"}],
            "description": f"What turned out to be true; texts over {MAX_LABEL} characters are shortened.",
        },
        "source": {"oneOf": [_TEXT, {"type": "null"}], "description": "Who says so."},
        "value": {"type": ["number", "null"], "description": "What the decision was worth; below 0 a cost."},
    },
}
_REJECTION = {
    "type": "object",
    "required": ["row", "field", "problem", "mend"],
    "properties": {
        "row": {"type": "integer", "minimum": 0, "description": "Its position in the request, from 0."},
        "field": {"type": "string"},
        "problem": {"type": "string"},
        "mend": {"type": "string"},
    },
}
_REJECTED = {"type": "array", "items": {"$ref": "#/components/schemas/Rejection"}}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["status", "title"],
    "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "accepted": {"type": "integer"},
        "rejected": _REJECTED,
    },
}
_ACCEPTED = {
    "type": "object",
    "required": ["accepted", "results", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 1, "description": "Rows that are on the disk."},
        "results": {
            "type": "object",
            "propertyNames": {"enum": list(OUTCOME_RESULTS)},
            "additionalProperties": {"type": "integer"},
            "description": "What became of them.",
        },
        "rejected": _REJECTED,
    },
}
_COME_AGAIN = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to come again."}}
_REFUSALS = {
    "400": "Nothing of the body could be taken; `rejected` names rows and fields.",
    "401": "A token is needed.",
    "408": "The body took too long.",
    "413": "The body is too large.",
    "415": "The content encoding is unknown.",
    "429": "There is no room now.",
    "503": "The store cannot be written now.",
}


def document() -> dict[str, Any]:
    """The whole description."""
    outcome = {"$ref": "#/components/schemas/Outcome"}
    several = {"type": "array", "items": outcome, "minItems": 1}
    body = {
        "oneOf": [
            outcome,
            several,
            {"type": "object", "required": ["outcomes"], "properties": {"outcomes": several}, "additionalProperties": False},
        ]
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "otel-ml exporter", "version": API_VERSION, "description": "Ground truth in, metrics and health out."},
        "paths": {
            "/v1/outcomes": {
                "post": {
                    "operationId": "sendOutcomes",
                    "summary": "Send outcomes; those sent before change nothing.",
                    "security": [{}, {"token": []}],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": body}, "application/x-ndjson": {"schema": {"type": "string"}}},
                    },
                    "responses": {
                        "200": {"description": "Accepted rows are on the disk.", "content": {"application/json": {"schema": _ACCEPTED}}},
                        **{status: _refusal(status, text) for status, text in _REFUSALS.items()},
                    },
                }
            },
            "/metrics": {"get": _page("metrics", "The published metrics.", "text/plain", secured=True)},
            "/healthz": {"get": _page("health", "200 while the process lives.", "text/plain")},
            "/readyz": {
                "get": _page("readiness", "200 after the first evaluation while the store can be written.", "text/plain", also="503")
            },
        },
        "components": {
            "schemas": {"Outcome": _OUTCOME, "Rejection": _REJECTION, "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _refusal(status: str, text: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content, **({"headers": _COME_AGAIN} if status in ("429", "503") else {})}


def _page(operation: str, summary: str, media_type: str, *, secured: bool = False, also: str = "") -> dict[str, Any]:
    page = {"description": summary, "content": {media_type: {"schema": {"type": "string"}}}}
    responses: dict[str, Any] = {"200": page, **({also: page} if also else {})}
    if secured:
        responses["401"] = _refusal("401", _REFUSALS["401"])
    return {"operationId": operation, "summary": summary, "responses": responses, **({"security": [{}, {"token": []}]} if secured else {})}
