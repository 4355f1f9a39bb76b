//! What runs: a broker of the old semantics, a gateway with everything that a policy can have, and Prometheus.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use monitoring::Rules;
use serde_json::{Value, json};
use stack::{Bootstrap, Broker, BrokerOptions, Envoy, Prometheus, Protocol, Workers};
use tempfile::TempDir;

use crate::client;

/// What runs. Everything ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) prometheus: Prometheus,
    pub(crate) envoy: Envoy,
    pub(crate) broker: Broker,
    bootstrap: Bootstrap,
    _folder: TempDir,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        let broker = Broker::start(BrokerOptions::default()).await.unwrap_or_else(|failure| panic!("{failure}"));
        let bootstrap = Bootstrap::load("ecds.yaml")
            .unwrap_or_else(|error| panic!("{error}"))
            .upstream(broker.address(), Protocol::Http1)
            .edit_policy(add_everything)
            .with(add_rate_limit_service);
        let envoy = Envoy::start(bootstrap.clone(), Workers(2)).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(envoy.warnings(), [""; 0], "the gateway takes this policy");
        let folder = TempDir::with_prefix("ackguard-rules-").expect("a folder");
        let rules = folder.path().join("alerts.json");
        std::fs::write(&rules, Rules::read().each_second()).expect("a file");
        let configuration = scraping(&envoy, &broker, &rules);
        let prometheus = Prometheus::start(&configuration).await.unwrap_or_else(|failure| panic!("{failure}"));
        Self { prometheus, envoy, broker, bootstrap, _folder: folder }
    }

    /// Delivers a policy with a fault, another one each time: Envoy asks the filter about the same bytes only once.
    pub(crate) fn deliver_a_faulty_policy(&self, number: u32) {
        let faulty = self.bootstrap.clone().edit_policy(|policy| policy["mode"] = format!("fault {number}").into());
        self.envoy.deliver(&faulty).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Lets the broker answer a few acks with 503.
    pub(crate) async fn let_some_acks_fail(&self) {
        let fault = json!({ "operation": "ack", "kind": "status", "status": 503, "probability": 0.1 });
        client::post(self.broker.admin(), "/admin/faults", &fault).await;
    }

    /// What the gateway counts of AckGuard, for whoever looks for what is missing.
    pub(crate) async fn statistics(&self) -> String {
        let shown = self.envoy.admin_get("/stats/prometheus").await.unwrap_or_else(|error| error.to_string());
        shown.lines().filter(|line| line.starts_with("ackguard_")).collect::<Vec<_>>().join("\n")
    }
}

/// The shipped configuration of Prometheus, with these addresses and rules, and a second for its intervals.
fn scraping(envoy: &Envoy, broker: &Broker, rules: &Path) -> String {
    let path = stack::root().join("envoy/prometheus/prometheus.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut document: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    document["global"] = json!({ "scrape_interval": "1s", "evaluation_interval": "1s" });
    document["rule_files"] = json!([rules]);
    for (job, address) in [("ackguard", envoy.admin()), ("tmq-broker", broker.admin())] {
        let jobs = document["scrape_configs"].as_array_mut().expect("jobs");
        let job = jobs.iter_mut().find(|found| found["job_name"] == job).unwrap_or_else(|| panic!("no job {job}"));
        job["static_configs"][0]["targets"] = json!([address.to_string()]);
    }
    document.to_string()
}

/// Leases short enough to run out, rules and limits in shadow, a limit of the fleet, and a candidate for one tenant.
fn add_everything(policy: &mut Value) {
    policy["defaults"]["ack_timeout"]["min"] = "500ms".into();
    policy["defaults"]["max_attempts"]["min"] = 0.into();
    policy["defaults"]["max_in_flight"] = 10_000.into();
    policy["rules"] = json!([
        { "name": "tried", "mode": "shadow", "match": { "tenant": "*" }, "ack_timeout": { "min": "20s", "default": "20s" } },
    ]);
    policy["limits"] = json!([
        { "name": "narrow", "operations": ["publish"], "key": ["tenant"], "rate": "20/s", "burst": 20 },
        { "name": "tried", "operations": ["publish"], "key": ["tenant"], "rate": "1/s", "over": "shadow" },
        {
            "name": "fleet", "operations": ["publish"], "key": ["tenant"],
            "global": { "cluster": "ratelimit", "domain": "mq", "on_error": "allow" },
        },
    ]);
    policy["rollout"] = json!({
        "candidate": { "version": "2", "defaults": { "ack_timeout": { "default": "12s" } } },
        "stages": [{ "tenants": ["canary"], "hold": "1h" }, { "percent": 100, "hold": "1h" }],
    });
}

/// The cluster that the policy's limit of the fleet asks, at which nobody answers.
fn add_rate_limit_service(document: &mut Value) {
    let nobody = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).and_then(|port| port.local_addr());
    let port = nobody.expect("a free port").port();
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let cluster = json!({
        "name": "ratelimit", "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "ratelimit",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
        "typed_extension_protocol_options": {
            options: {
                "@type": format!("type.googleapis.com/{options}"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
    });
    document["static_resources"]["clusters"].as_array_mut().expect("clusters").push(cluster);
}
