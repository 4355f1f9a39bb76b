"""What Prometheus, Grafana and Jaeger of the compose stack know of the incident whose result is the first argument.

Each is asked again until it knows, for SEEN_WITHIN seconds together. With STAND_IN Prometheus alone runs. The ports are those
that .make/compose.sh has set.
"""

import json, os, sys, time, urllib.parse, urllib.request

end = time.monotonic() + float(os.environ["SEEN_WITHIN"])
messages = json.load(open(sys.argv[1]))["messages"]


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{os.environ[port]}{path}", timeout=10) as answer:
        return json.load(answer)


def asked(expression):
    """The value of the expression's only series; None where there is none yet."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    series = fetch("ACKGUARD_PROMETHEUS_PORT", path)["data"]["result"]
    return float(series[0]["value"][1]) if len(series) == 1 else None


def until(what, found, wanted):
    said = None
    while time.monotonic() < end:
        try:
            said = found()
            if said is not None and wanted(said):
                print(f"compose: {what}: {said}")
                return
        except OSError as fault:
            said = fault
        time.sleep(0.5)
    sys.exit(f"compose: {what}: found {said}")


def metric(what, expression, wanted=lambda value: value > 0):
    until(f"{what}, {expression}", lambda: asked(expression), wanted)


metric("Prometheus scrapes Envoy", 'up{job="ackguard"}', lambda up: up == 1)
metric("Prometheus scrapes the broker", 'up{job="tmq-broker"}', lambda up: up == 1)
metric("acks that passed", 'sum(ackguard_requests_total{dialect="tmq",operation="ack",decision="pass"})')
metric(
    "ack timeouts of 0 that were clamped",
    'sum(ackguard_violations_total{dialect="tmq",field="ack_timeout",kind="zero",action="clamp"})',
)
metric(
    "lost past AckGuard, and nothing else",
    "sum(tmq_messages_archived_total) + sum(tmq_messages_forgotten_total)",
    lambda lost: lost == messages,
)
metric("the alert fires", 'count(ALERTS{alertname="AckGuardZeroAckTimeout",alertstate="firing"})')

if not os.environ["STAND_IN"]:
    until(
        "Grafana has the dashboard",
        lambda: [found["title"] for found in fetch("ACKGUARD_GRAFANA_PORT", "/api/search?type=dash-db")],
        lambda titles: "AckGuard" in titles,
    )
    of_prometheus = "/api/datasources/proxy/uid/prometheus/api/v1/query?query=ackguard_policy_info"
    until(
        "Grafana's datasource has what the dashboard asks for",
        lambda: len(fetch("ACKGUARD_GRAFANA_PORT", of_prometheus)["data"]["result"]),
        lambda series: series > 0,
    )
    until(
        "Jaeger has traces of all three",
        lambda: sorted(fetch("ACKGUARD_JAEGER_PORT", "/api/services")["data"] or []),
        lambda services: {"gateway", "tmq-broker", "tmq-load"} <= set(services),
    )
