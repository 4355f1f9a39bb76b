//! The accuracy of limits in small: in real Envoys, and what it leaves behind.

use std::fs;
use std::process::Command;

use serde_json::Value;

/// What stands before and after the table in a document.
const BEGIN: &str = "<!-- accuracy: written by `make limits` -->";
const END: &str = "<!-- /accuracy -->";

#[test]
fn no_window_has_too_much_and_demand_below_the_rate_is_never_refused() {
    let module = stack::root().join("target/ackguard.wasm");
    assert!(module.is_file(), "{} is missing: make wasm", module.display());
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("limits.md");
    fs::write(&document, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tmq-load"))
        .args(["limits", "--seconds", "1", "--only", "hot_2", "--only", "messages_2", "--only", "below_2"])
        .arg("--out")
        .arg(folder.path())
        .arg("--write")
        .arg(&document)
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}\n{stdout}");

    let result: Value = serde_json::from_slice(&fs::read(folder.path().join("result.json")).unwrap()).unwrap();
    // A share of a window counts what was surely let through in it, so that no machine is too slow for this.
    let share = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{result:#}"));
    assert!(share(&result["limit_max_share"]) <= 1.0, "{result:#}");
    let rows = &result["rows"];
    for (row, rate) in [("hot_2", 1_000.0), ("messages_2", 8_000.0)] {
        // What the clients of a busy machine did not ask for, no limit could let through.
        let asked = (share(&rows[row]["asked_per_s"]) / rate).min(1.0);
        assert!(share(&rows[row]["min_share"]) > asked / 4.0, "{row}: {result:#}");
    }
    assert!(rows["hot_2"]["refused"].as_u64() > Some(0), "{result:#}");
    assert_eq!((&rows["below_2"]["refused"], &rows["below_2"]["min_share"]), (&0.into(), &Value::Null));

    let document = fs::read_to_string(document).unwrap();
    assert!(document.starts_with(&format!("before\n{BEGIN}\n\n| limit |")), "{document}");
    assert!(document.ends_with(&format!("\n{END}\nafter\n")) && !document.contains("old"), "{document}");
    assert!(document.contains("| less demand than the rate: 1,000/s, burst 200 | 2 |"), "{document}");
}
