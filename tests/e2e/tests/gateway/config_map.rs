//! A policy in a Kubernetes ConfigMap that is mounted into the proxy's pod.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use e2e::client::Http1Client;
use e2e::gateway::{Gateway, Setup, shipped};
use stack::HostMode;
use tempfile::TempDir;

use crate::configurations::{UPDATES, await_policy, check_guarded, subscribe};
use crate::rendered::render;

/// The file in the ConfigMap.
const FILE: &str = "ackguard.yaml";

/// A mounted ConfigMap, written as kubelet's `AtomicWriter` writes it: the visible file is a link to `..data/<file>`,
/// `..data` a link to a folder named by its time, and an update a new folder and a rename over `..data`.
struct Volume {
    folder: TempDir,
    written: u32,
}

impl Volume {
    fn new() -> Self {
        Volume { folder: TempDir::new().expect("a folder"), written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the proxy reads.
    fn file(&self) -> PathBuf {
        self.path(FILE)
    }

    /// Updates the volume to `text`.
    fn write(&mut self, text: &str) {
        self.written += 1;
        let before = fs::read_link(self.path("..data")).ok();
        let fresh = format!("..2026_11_24_12_00_00.{:09}", self.written);
        fs::create_dir(self.path(&fresh)).expect("a folder");
        fs::set_permissions(self.path(&fresh), Permissions::from_mode(0o755)).expect("its mode");
        let file = self.path(&fresh).join(FILE);
        fs::write(&file, text).expect("the file");
        fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("its mode");
        symlink(&fresh, self.path("..data_tmp")).expect("a link");
        fs::rename(self.path("..data_tmp"), self.path("..data")).expect("the swap");
        if !self.file().is_symlink() {
            symlink(Path::new("..data").join(FILE), self.file()).expect("a link");
        }
        if let Some(before) = before {
            fs::remove_dir_all(self.path(&before.to_string_lossy())).expect("the old folder");
        }
    }
}

/// What the ConfigMap of a policy holds.
fn config_map(version: &str, default: &str) -> String {
    let object = render("held", version, default, "config-map");
    object["data"][FILE].as_str().expect("the file").to_owned()
}

/// Sends requests until `done`, on new connections and on one that stays, and returns how many were answered. Each
/// must be answered by some policy in full.
async fn traffic(gateway: &Gateway, done: &Cell<bool>) -> usize {
    let mut kept = Http1Client::open(gateway.envoy.guarded()).await;
    let mut answered = 0;
    while !done.get() {
        kept.send(&subscribe()).await;
        for response in [kept.response().await, gateway.guarded(&subscribe()).await] {
            let told = response.header("x-ackguard").unwrap_or_default();
            assert!(response.head.status() == 200 && told.starts_with("clamp; field=ackTimeout"), "{response:?}");
            answered += 1;
        }
    }
    answered
}

#[tokio::test]
async fn every_swap_of_the_mounted_files_reaches_every_worker_and_fails_no_request() {
    let mut volume = Volume::new();
    volume.write(&config_map("v0", "10s"));
    let file = volume.file();
    let setup = Setup::new(HostMode::Held).bootstrap(|_| shipped("ecds.yaml").extension_from(&file));
    let gateway = setup.start().await;
    check_guarded(&gateway, "10000", "v0").await;

    let done = Cell::new(false);
    let swaps = async {
        for (version, default) in [("v1", "11s"), ("v2", "12s"), ("v3", "13s"), ("v4", "14s")] {
            volume.write(&config_map(version, default));
            await_policy(&gateway, version).await;
        }
        let rejected = format!("{UPDATES}.update_rejected");
        let broken = config_map("v5", "15s").replace("15s", "soon");
        volume.write(&broken);
        gateway.envoy.stat_reaches(&rejected, 1).await.expect("the refusal");
        await_policy(&gateway, "v4").await;
        volume.write(&config_map("v6", "16s"));
        await_policy(&gateway, "v6").await;
        done.set(true);
    };
    let ((), one, other) = tokio::join!(swaps, traffic(&gateway, &done), traffic(&gateway, &done));
    assert!(one > 0 && other > 0, "{one} and {other} requests under the swaps");
    gateway.upstream.forget();
    check_guarded(&gateway, "16000", "v6").await;
    gateway.end().await;
}
