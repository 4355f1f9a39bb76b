//! What `ackguard explain` says of a request is what the filter does with it, byte for byte: the requests are those that
//! the command line's own tests explain.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use e2e::gateway::{Gateway, in_both_modes};
use e2e::message::Message;
use serde_json::{Value, json};
use stack::HostMode;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/explain")
}

/// The policy of those tests for such a host. Where its roll-out stands is told by a clock: it is left out.
fn policy(host: &Value) -> Value {
    let text = std::fs::read_to_string(folder().join("policy.yaml")).expect("the policy");
    let mut policy: Value = serde_saphyr::from_str(&text).expect("YAML");
    policy.as_object_mut().expect("an object").remove("rollout");
    policy["host"] = host.clone();
    policy
}

/// The requests by name, their lines ended as HTTP has it and their bodies as long as they say.
fn requests() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder()).expect("the folder").map(|file| file.expect("a file").path());
    let requests = files.filter(|path| path.extension().is_some_and(|ending| ending == "http")).map(|path| {
        let bytes = std::fs::read(&path).expect("a request");
        let end = |mark: &[u8]| Some((bytes.windows(mark.len()).position(|part| part == mark)?, mark.len()));
        let (end, mark) = end(b"\r\n\r\n").or_else(|| end(b"\n\n")).expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("UTF-8");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        let body = &bytes[end + mark..];
        let mut request = head.lines().collect::<Vec<_>>().join("\r\n").into_bytes();
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(&body[..length.unwrap_or(body.len())]);
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), request)
    });
    requests.collect()
}

/// What the program says of a request.
fn explained(policy: &Path, request: &[u8], folder: &Path) -> Value {
    let program = stack::program("ackguard").unwrap_or_else(|missing| panic!("{missing}"));
    let file = folder.join("request.http");
    std::fs::write(&file, request).expect("a file");
    let output = Command::new(program).args(["explain", "--json"]).args([policy, &file]).output().expect("the program");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {output:?}"))
}

fn told(response: &Message) -> Option<String> {
    response.head.headers.text("x-ackguard")
}

async fn compare(gateway: &Gateway, name: &str, request: &[u8], report: &Value) {
    let response = gateway.guarded(request).await;
    let header = report["ruling"]["header"].as_str().map(str::to_owned);
    let goes_on = &report["goes_on"];
    if goes_on.is_null() {
        let answer = &report["answer"];
        assert_eq!(u64::from(response.head.status()), answer["status"].as_u64().expect("a status"), "{name}");
        assert_eq!(String::from_utf8_lossy(&response.body), answer["body"].as_str().expect("a body"), "{name}");
        assert_eq!(told(&response), header, "{name}");
        return;
    }
    let received = gateway.upstream.take().await;
    let body = BASE64_STANDARD.decode(goes_on["body_b64"].as_str().expect("a body")).expect("base64");
    assert_eq!(received.body, body, "{name}");
    assert_eq!(told(&response), header.filter(|_| goes_on["edited"] == true), "{name}");
    assert_eq!(received.head.headers.names_with("x-ackguard"), [""; 0], "{name}");
    // Of the head, what the gateway changed: Envoy itself adds to it.
    for line in goes_on["diff"].as_array().expect("a list").iter().filter_map(Value::as_str) {
        let (sign, line) = line.split_at(1);
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let Some((header, value)) = line.split_once(": ").filter(|(name, _)| sign == "+" && is_name(name)) else {
            continue;
        };
        assert_eq!(received.head.headers.text(header).as_deref(), Some(value), "{name}: {header}");
    }
}

#[tokio::test]
async fn what_is_explained_is_what_happens() {
    in_both_modes(
        |setup| setup.policy(|shipped| *shipped = policy(&shipped["host"])),
        async |gateway| {
            let scratch = tempfile::tempdir().expect("a folder");
            let file = scratch.path().join("policy.json");
            let headers = if gateway.mode == HostMode::Held { "held" } else { "streamed" };
            std::fs::write(&file, policy(&json!({ "headers": headers })).to_string()).expect("a file");
            let requests = requests();
            assert!(requests.len() > 20, "{}", requests.len());
            for (name, request) in requests {
                let report = explained(&file, &request, scratch.path());
                compare(gateway, &name, &request, &report).await;
            }
        },
    )
    .await;
}
