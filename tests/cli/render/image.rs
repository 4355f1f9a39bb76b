//! The image that Istio loads, as far as it shows without a container tool; `.make/image.sh` checks what it builds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_image_is_one_layer_with_the_module_at_its_root() {
    let file = fs::read_to_string(root().join("envoy/istio/Dockerfile")).unwrap();
    let lines = file.lines().filter(|line| !line.starts_with(['#', ' ']));
    let layers: Vec<&str> = lines.filter(|line| !line.starts_with("LABEL ")).collect();
    assert_eq!(layers, ["FROM scratch", "COPY ackguard.wasm plugin.wasm"]);
}

#[test]
fn a_machine_without_a_container_tool_is_told_what_to_install() {
    let folder = TempDir::new().unwrap();
    for tool in ["bash", "basename", "dirname", "sed"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        symlink(String::from_utf8(found.stdout).unwrap().trim(), folder.path().join(tool)).unwrap();
    }
    // `#!/usr/bin/env bash` finds bash by that PATH.
    let output = Command::new(root().join(".make/image.sh")).env("PATH", folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("none of docker, podman and buildah works here"), "{told}");
    assert!(told.contains("apt-get install buildah"), "{told}");
}
