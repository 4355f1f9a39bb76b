//! The benchmark in small: every row in real Envoys, and what it leaves behind.

use std::process::Command;

use serde_json::Value;

/// Every figure that the smallest benchmark has, besides what it says of the machine.
const KEYS: [&str; 107] = [
    "control_vs_bare",
    "ack_vs_noop",
    "pull_vs_noop",
    "unmatched_vs_noop",
    "subscribe_vs_lua",
    "ack_vs_lua",
    "limited_vs_local_ratelimit",
    "refused_vs_local_ratelimit",
    "cost_rounds",
    "cost_failed",
    "p99_added_ms",
    "p50_added_ms",
    "latency_noop_p99_added_ms",
    "latency_control_p99_added_ms",
    "latency_p99_ms",
    "latency_p50_ms",
    "latency_bare_p99_ms",
    "latency_bare_p50_ms",
    "latency_direct_p99_ms",
    "p99_added_poisson_ms",
    "latency_noop_p99_added_poisson_ms",
    "latency_control_p99_added_poisson_ms",
    "latency_p99_poisson_ms",
    "latency_bare_p99_poisson_ms",
    "latency_borne_per_s",
    "latency_planned_per_s",
    "latency_rounds",
    "latency_failed",
    "pull_1kib_vs_bare",
    "pull_16kib_vs_bare",
    "pull_128kib_vs_bare",
    "pull_1mib_vs_bare",
    "publish_1kib_vs_bare",
    "publish_16kib_vs_bare",
    "publish_128kib_vs_bare",
    "publish_1mib_vs_bare",
    "sizes_rounds",
    "sizes_failed",
    "throughput_vs_bare",
    "throughput_per_s",
    "throughput_rounds",
    "throughput_failed",
    "wasm_bytes",
    "vm_idle_bytes",
    "vm_idle_noop_bytes",
    "limit_max_share",
    "limit_min_share",
    "reload_p99_ms",
    "reload_p50_ms",
    "reload_max_ms",
    "reload_served",
    "reload_refused",
    "reload_failed",
    "reload_noop_p99_ms",
    "reload_noop_p50_ms",
    "reload_noop_max_ms",
    "reload_noop_failed",
    "reload_10000_rules_p99_ms",
    "reload_10000_rules_p50_ms",
    "reload_10000_rules_text_p50_ms",
    "reload_10000_rules_struct_p50_ms",
    "reload_10000_rules_failed",
    "rules_10000_vs_10",
    "rules_10_us",
    "rules_10000_us",
    "rules_rounds",
    "rules_10_bytes",
    "rules_1000_bytes",
    "rules_10000_bytes",
    "rules_failed",
    "swap_vs_noop",
    "swap_p50_ms",
    "swap_noop_p50_ms",
    "swap_failed",
    "telemetry_vs_off",
    "telemetry_filter_vs_off",
    "telemetry_log_vs_off",
    "telemetry_off_us",
    "telemetry_rounds",
    "telemetry_failed",
    "workers_4_vs_1",
    "workers_1_vs_bare",
    "workers_1_added_us",
    "workers_2_vs_bare",
    "workers_2_added_us",
    "workers_4_vs_bare",
    "workers_4_added_us",
    "workers_rounds",
    "workers_failed",
    "tenants_1000000_vs_10",
    "tenants_10_us",
    "tenants_1000000_us",
    "tenants_rounds",
    "tenants_made_up",
    "tenants_series",
    "tenants_bytes",
    "tenants_late_bytes",
    "topics_made_up",
    "topics_bytes",
    "topics_late_bytes",
    "receipts_in_flight",
    "receipts_held",
    "receipts_acked_bytes",
    "receipts_bytes",
    "receipts_late_bytes",
    "vm_full_bytes",
    "growth_failed",
];

/// What is added over what something else adds.
const ADDED: [&str; 6] =
    ["ack_vs_noop", "pull_vs_noop", "unmatched_vs_noop", "subscribe_vs_lua", "ack_vs_lua", "workers_4_vs_1"];

/// Memory that Envoy holds more than at another moment.
const GROWN: [&str; 7] = [
    "tenants_bytes",
    "tenants_late_bytes",
    "topics_bytes",
    "topics_late_bytes",
    "receipts_acked_bytes",
    "receipts_bytes",
    "receipts_late_bytes",
];

#[test]
fn every_row_is_measured_and_no_request_fails() {
    for module in ["ackguard", "noop"] {
        let path = stack::root().join(format!("target/{module}.wasm"));
        assert!(path.is_file(), "{} is missing: make wasm noop", path.display());
    }
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "--reloads",
        "20",
        "--large-reloads",
        "1",
        "--rounds",
        "1",
        "--round",
        "200ms",
        "--turns",
        "3",
        "--turn",
        "20ms",
        "--patience",
        "0s",
        "--swaps",
        "1",
        "--tenants",
        "5000",
        "--topics",
        "2000",
        "--receipts",
        "2000",
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_tmq-load"))
        .args(["bench", "--out"])
        .arg(folder.path())
        .args(small)
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}\n{stdout}");

    let result: Value = serde_json::from_slice(&std::fs::read(folder.path().join("result.json")).unwrap()).unwrap();
    for key in KEYS {
        // In so little time, what ours is compared with may have added nothing.
        let is_endless = ADDED.contains(&key) && result[key].is_null();
        assert!(result[key].is_number() || is_endless, "{key} is {}", result[key]);
        assert!(stdout.contains(key), "{key} is not in\n{stdout}");
        // What was measured took some time, and nothing failed. Two sides may differ by nothing, and memory for so little may be
        // none.
        let is_none = result[key].as_f64() == Some(0.0);
        let may_be_none = key.contains("_added_") || GROWN.contains(&key);
        assert!(may_be_none || is_none == key.ends_with("_failed"), "{key} is {}", result[key]);
    }
    for (exchange, way) in [("ack", "lua"), ("pull", "ackguard"), ("publish", "local_ratelimit"), ("unmatched", "noop")]
    {
        let cost = result["cost_us"][exchange][way].as_array().unwrap_or_else(|| panic!("{exchange}, {way}: {result}"));
        let quartiles: Vec<f64> = cost.iter().filter_map(Value::as_f64).collect();
        assert!(
            quartiles.len() == 3 && quartiles[0] > 0.0 && quartiles.is_sorted(),
            "{exchange}, {way}: {quartiles:?}"
        );
    }
    // Of five thousand tenants a hundred have series of their own, and the others share one.
    assert_eq!(result["tenants_series"], 101);
    // The table of leases has met every receipt; one lease more is that of a pull before them.
    let [in_flight, held] = ["receipts_in_flight", "receipts_held"].map(|key| result[key].as_u64().unwrap());
    assert!(in_flight >= 2_000 && (in_flight..=in_flight + 1).contains(&held), "{in_flight} in flight, {held} counted");
    let chart = std::fs::read_to_string(folder.path().join("costs.svg")).unwrap();
    assert!(chart.starts_with("<svg") && chart.contains("pull_16kib"), "{chart}");
    // Three rounds tell no ratio to 5 %, and that is said.
    assert_eq!(result["fit"], false);
    assert!(stdout.contains("UNFIT: cost: ack_vs_noop has too few rounds to be known to ± 5 %"), "{stdout}");
    assert_eq!((&result["reload_served"], &result["reload_refused"]), (&18.into(), &2.into()));
}
