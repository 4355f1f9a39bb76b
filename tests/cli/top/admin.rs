//! An admin endpoint that answers, stays silent or breaks off, as a test wants it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::program::folder;

/// How it treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// With the statistics of this file.
    Answers(&'static str),
    /// With this status and nothing else.
    Status(u16),
    /// With what no Envoy says.
    Babbles,
    /// It takes connections and says nothing.
    Silent,
    /// It breaks connections off.
    Gone,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    under_way: usize,
    most_under_way: usize,
}

/// The endpoint. It listens as long as the test's process lives.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Admin {
    pub(super) fn start(manner: Manner) -> Admin {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let state = State { manner, under_way: 0, most_under_way: 0 };
        let admin = Admin {
            address: listener.local_addr().expect("an address"),
            state: Arc::new((Mutex::new(state), Condvar::new())),
        };
        let serving = admin.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(connection));
            }
        });
        admin
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes on in another manner; requests that wait for an answer get one in it.
    pub(super) fn becomes(&self, manner: Manner) {
        let (state, changed) = &*self.state;
        state.lock().expect("no panic").manner = manner;
        changed.notify_all();
    }

    /// The most requests that were under way at once.
    pub(super) fn most_under_way(&self) -> usize {
        self.state.0.lock().expect("no panic").most_under_way
    }

    fn serve(&self, connection: TcpStream) {
        let mut lines = BufReader::new(connection.try_clone().expect("a socket")).lines();
        // A client may close its connection at any time.
        while let Some(Ok(request)) = lines.next() {
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let (state, changed) = &*self.state;
            let mut state = state.lock().expect("no panic");
            state.under_way += 1;
            state.most_under_way = state.most_under_way.max(state.under_way);
            state = changed.wait_while(state, |state| state.manner == Manner::Silent).expect("no panic");
            let manner = state.manner;
            state.under_way -= 1;
            drop(state);
            let answered = match manner {
                Manner::Gone => return,
                Manner::Status(status) => answer(&connection, status, ""),
                Manner::Babbles => answer(&connection, 200, "<html>Welcome!</html>"),
                Manner::Answers(_) if request.starts_with("GET /server_info ") => answer(&connection, 200, SERVER_INFO),
                Manner::Answers(file) => {
                    assert!(request.starts_with("GET /stats?format=json&"), "{request}");
                    let stats = std::fs::read_to_string(folder().join("top").join(file)).expect("the file");
                    answer(&connection, 200, &stats)
                }
                Manner::Silent => unreachable!("it waited until it was not"),
            };
            if answered.is_err() {
                return;
            }
        }
    }
}

const SERVER_INFO: &str = r#"{"version":"9e55809/1.40.0/Clean/RELEASE/BoringSSL","state":"LIVE","uptime_current_epoch":"60s","uptime_all_epochs":"7260s"}"#;

fn answer(mut connection: &TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes())
}
