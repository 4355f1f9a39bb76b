//! The program: its start, its end, its exit codes, and what it never says.

use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{Program, run};

/// A request over a plain socket, whose answer is not read yet.
pub(crate) fn send(to: SocketAddr, head: &str, body: &str) -> std::net::TcpStream {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    let length = body.len();
    write!(stream, "{head} HTTP/1.1\r\nhost: b\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    stream
}

pub(crate) fn answer(mut stream: std::net::TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until a long poll of the consumer waits.
fn await_poll(to: SocketAddr, id: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !answer(send(to, &format!("GET /tmq/v1/groups/g/consumers/{id}"), "")).contains(r#""waitingPulls":1"#) {
        assert!(Instant::now() < deadline, "no poll waits");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_signal_ends_it_though_a_poll_is_open() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Program::start(&[]);
        let to = process.listen;
        answer(send(to, "PUT /tmq/v1/topics/orders", "{}"));
        let subscribed = answer(send(to, "POST /tmq/v1/groups/g/consumers", r#"{"topic":"orders"}"#));
        let id = subscribed.split("\"consumerId\":\"").nth(1).unwrap()[..16].to_owned();
        answer(send(to, &format!("POST /tmq/v1/groups/g/consumers/{id}:start"), ""));
        let poll = send(to, &format!("POST /tmq/v1/groups/g/consumers/{id}:pull"), r#"{"waitMs":60000}"#);
        await_poll(to, &id);
        let started = Instant::now();
        process.signal(signal);
        let status = process.child.wait().unwrap();
        assert!(started.elapsed() < Duration::from_secs(10), "long before the poll's own end");
        assert_eq!(status.code(), Some(0));
        assert!(answer(poll).ends_with(r#"{"messages":[]}"#));
    }
}

#[test]
fn secrets_are_never_written() {
    let file = std::env::temp_dir().join(format!("tmq-broker-credentials-{}", std::process::id()));
    std::fs::write(&file, "app-b=hidden-in-file\n").unwrap();
    let process = Program::start_logging(
        "trace",
        &["--credential", "app-a=hidden-in-line", "--credentials-file", file.to_str().unwrap()],
    );
    std::fs::remove_file(&file).unwrap();
    let refused = answer(send(process.listen, "PUT /tmq/v1/topics/orders", "{}"));
    assert!(refused.contains("401"), "{refused}");
    let (_, written) = process.end(Signal::TERM);
    assert!(!written.is_empty() && !written.contains("hidden"), "{written}");
}

#[test]
fn exit_codes() {
    for (arguments, code, said) in [
        (&["--help"][..], 0, "Examples:"),
        (&["--semantics", "modern"], 2, "legacy"),
        (&["--heartbeat-period", "0"], 2, "--heartbeat-period"),
        (&["--fallback-timeout", "0"], 2, "--fallback-timeout"),
        (&["--head-timeout", "soon"], 2, "--head-timeout"),
        (&["--credential", "nothing-but-a-secret"], 2, "--credential"),
        (&["--credentials-file", "/nonexistent/file"], 2, "/nonexistent/file"),
        (&["--credentials-file", "/dev/null", "--listen", "192.0.2.1:1"], 2, "/dev/null: it has no line"),
        (
            &["--otlp", "http://user:nothing-but-a-secret@collector:4317"],
            2,
            "--otlp or OTEL_EXPORTER_OTLP_ENDPOINT: expected",
        ),
        (&["--otlp", "", "--listen", "192.0.2.1:1"], 1, "192.0.2.1:1"),
        (&["--listen", "192.0.2.1:1", "--admin", "127.0.0.1:0"], 1, "192.0.2.1:1"),
    ] {
        let output = run(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {text}");
        assert!(text.contains(said), "{arguments:?} {text}");
        assert!(!text.contains("nothing-but-a-secret"), "{text}");
    }
}
