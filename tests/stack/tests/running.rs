//! The processes of the stack: the broker behind Envoy, and the stack that is left running.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use stack::{
    Bootstrap, Broker, BrokerOptions, Detached, DetachedError, Envoy, Ports, Protocol, Semantics, StartFailure, Workers,
};

/// Ends what a failed test leaves of the stack in this folder, which outlives the process by design.
struct EndedWithTheTest<'a>(&'a Path);

impl Drop for EndedWithTheTest<'_> {
    fn drop(&mut self) {
        let stack = Detached::find(self.0);
        for (_, pid, running) in stack.iter().flat_map(Detached::processes) {
            if let Some(pid) = Pid::from_raw(pid).filter(|_| running) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

#[tokio::test]
async fn a_broker_serves_behind_envoy() {
    let broker =
        Broker::start(BrokerOptions { semantics: Semantics::Fixed, ..BrokerOptions::default() }).await.unwrap();
    let bootstrap = Bootstrap::load("static.yaml").unwrap().upstream(broker.address(), Protocol::Http1);
    let envoy = Envoy::start(bootstrap, Workers(2)).await.unwrap();

    broker.ledger().await.unwrap();
    let mut connection = TcpStream::connect(envoy.bare()).unwrap();
    let request = "GET /tmq/v1/topics/orders/route HTTP/1.1\r\nhost: broker\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("TopicNotFound"), "{answer}");

    let process = format!("/proc/{}", broker.pid());
    assert!(Path::new(&process).exists());
    drop(broker);
    assert!(!Path::new(&process).exists());
}

#[tokio::test]
async fn a_broker_that_refuses_its_options_tells_why() {
    let options = BrokerOptions { arguments: vec!["--no-such-option".to_owned()], ..BrokerOptions::default() };
    let failure = Broker::start(options).await.unwrap_err();
    assert!(matches!(failure, StartFailure::Refused { .. }), "{failure}");
    assert!(failure.log().contains("--no-such-option"), "{failure}");
}

#[tokio::test]
async fn a_broker_whose_port_is_taken_does_not_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = BrokerOptions { listen: taken.local_addr().unwrap(), ..BrokerOptions::default() };
    let failure = Broker::start(options).await.unwrap_err();
    assert!(matches!(failure, StartFailure::Refused { .. }), "{failure}");
}

#[tokio::test]
async fn a_stack_that_is_left_running_is_found_again_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let _guard = EndedWithTheTest(folder.path());
    let up = async || Detached::up(folder.path(), &Ports::EPHEMERAL, BrokerOptions::default(), Workers(1)).await;
    let endpoints = up().await.unwrap();
    let listens = |address| TcpStream::connect(address).is_ok();
    for address in [endpoints.gateway, endpoints.bare, endpoints.envoy_admin, endpoints.broker, endpoints.broker_admin]
    {
        assert!(listens(address), "{address}");
    }
    assert!(matches!(up().await, Err(DetachedError::Running)));

    let stack = Detached::find(folder.path()).unwrap();
    let ended = stack.clone();
    let names: Vec<(String, bool)> = stack.processes().map(|(name, _, runs)| (name.to_owned(), runs)).collect();
    assert_eq!(names, [("tmq-broker".to_owned(), true), ("envoy".to_owned(), true)]);
    stack.down().await.unwrap();
    // Its ports may be another test's by now.
    assert!(!ended.is_running());
    assert_eq!(Detached::find(folder.path()), None);
}

#[tokio::test]
async fn a_stack_that_cannot_start_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let options = BrokerOptions { arguments: vec!["--no-such-option".to_owned()], ..BrokerOptions::default() };
    let error = Detached::up(folder.path(), &Ports::EPHEMERAL, options, Workers(1)).await.unwrap_err();
    assert!(error.to_string().contains("--no-such-option"), "{error}");
    assert_eq!(Detached::find(folder.path()), None);
}

#[tokio::test]
async fn a_pid_that_is_anothers_by_now_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let text = format!(r#"[{{"name":"envoy","pid":{},"start_ticks":1}}]"#, bystander.id());
    std::fs::write(folder.path().join("processes.json"), text).unwrap();

    let stack = Detached::find(folder.path()).unwrap();
    assert!(!stack.is_running());
    stack.down().await.unwrap();
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
