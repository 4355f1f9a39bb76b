//! The shipped configurations, the forms of a policy, and a policy that changes while Envoy runs.

use e2e::case::POLICY;
use e2e::gateway::{Gateway, Setup, shipped};
use e2e::request::Request;
use stack::{Bootstrap, HostMode, until};

/// What Envoy counts of the filter's updates.
pub(crate) const UPDATES: &str = "extension_config_discovery.http_filter.ackguard";

/// A subscribe whose zero ack timeout comes to the policy's default.
pub(crate) fn subscribe() -> Vec<u8> {
    Request::subscribe("g").body(r#"{"topic":"orders","ackTimeout":0,"deadLetterTopic":"d"}"#)
}

/// Checks that every worker clamps zero to `to` by the policy `version`, with no other status on the way.
pub(crate) async fn check_guarded(gateway: &Gateway, to: &str, version: &str) {
    let told = format!("clamp; field=ackTimeout; from=0; to={to}; rule=defaults; policy={version}");
    for response in gateway.by_every_worker(&subscribe()).await {
        assert_eq!((response.head.status(), response.header("x-ackguard")), (200, Some(told.clone())));
        let received = gateway.upstream.take().await;
        assert_eq!(received.text(), format!(r#"{{"topic":"orders","ackTimeout":{to},"deadLetterTopic":"d"}}"#));
    }
}

/// Waits until every worker serves the policy `version`: Envoy hands an update to each of them in its own time.
pub(crate) async fn await_policy(gateway: &Gateway, version: &str) {
    let policy = format!("; policy={version}");
    let told = |told: Option<String>| told.is_some_and(|told| told.ends_with(&policy));
    until(&policy, async || {
        let mut new = true;
        for response in gateway.by_every_worker(&subscribe()).await {
            assert_eq!(response.head.status(), 200, "no request fails while the policy changes");
            new &= told(response.header("x-ackguard"));
            gateway.upstream.take().await;
        }
        new.then_some(())
    })
    .await
    .expect("the new policy");
}

#[tokio::test]
async fn the_shipped_configurations_guard_as_they_stand() {
    for (file, mode) in [("static.yaml", HostMode::Held), ("ecds.yaml", HostMode::Streamed)] {
        // Not even the host mode is set: it is what the file says.
        let gateway = Setup::new(mode).bootstrap(|_| shipped(file)).start().await;
        check_guarded(&gateway, "10000", POLICY).await;
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_policy_may_be_a_struct_or_a_text() {
    let policy = shipped("static.yaml").current_policy();
    let spaced = format!("\n\t {policy:#}\r\n");
    let forms: [(&str, &dyn Fn(Bootstrap) -> Bootstrap); 3] = [
        ("Struct", &|bootstrap| bootstrap.policy(policy.clone())),
        ("StringValue", &|bootstrap| bootstrap.policy_text(&policy.to_string())),
        ("StringValue with whitespace", &|bootstrap| bootstrap.policy_text(&spaced)),
    ];
    for (form, put) in forms {
        let gateway = Setup::new(HostMode::Held).bootstrap(put).start().await;
        let response = gateway.guarded(&subscribe()).await;
        assert!(response.header("x-ackguard").is_some(), "{form}: {response:?}");
        assert_eq!(
            gateway.upstream.take().await.text(),
            r#"{"topic":"orders","ackTimeout":10000,"deadLetterTopic":"d"}"#
        );
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_new_policy_takes_effect_and_a_broken_one_leaves_the_old_in_force() {
    let file = |version: &str, default: &str| {
        shipped("ecds.yaml").host_mode(HostMode::Streamed).edit_policy(|policy| {
            policy["version"] = version.into();
            policy["defaults"]["ack_timeout"]["default"] = default.into();
        })
    };
    let setup = Setup::new(HostMode::Streamed).bootstrap(|_| file("first", "11s"));
    let gateway = setup.start().await;
    check_guarded(&gateway, "11000", "first").await;

    let updated = async |counter: &str, at_least: u64| {
        gateway.envoy.stat_reaches(&format!("{UPDATES}.{counter}"), at_least).await.expect("Envoy reads the update")
    };
    let before = gateway.stat(&format!("{UPDATES}.update_success")).await;
    gateway.envoy.deliver(&file("second", "12s")).expect("a configuration with ECDS");
    updated("update_success", before + 1).await;
    await_policy(&gateway, "second").await;
    check_guarded(&gateway, "12000", "second").await;

    gateway.envoy.deliver(&file("third", "soon")).expect("a configuration with ECDS");
    updated("update_rejected", 1).await;
    gateway
        .envoy
        .log_contains(r#"ackguard: defaults.ack_timeout.default: "soon" is not a duration"#)
        .await
        .expect("the fault in the log");
    check_guarded(&gateway, "12000", "second").await;

    gateway.envoy.deliver(&file("fourth", "13s")).expect("a configuration with ECDS");
    updated("update_success", before + 2).await;
    await_policy(&gateway, "fourth").await;
    check_guarded(&gateway, "13000", "fourth").await;
    for (result, count) in [("accepted", 3), ("refused", 1)] {
        let counted = gateway.count(&format!("ackguard_policy_reloads_total;result={result}")).await;
        assert_eq!(counted, count, "{result}: each policy once, whatever the number of workers");
    }
    gateway.end().await;
}
