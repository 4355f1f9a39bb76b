//! A running Redis.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::failure::StartFailure;
use crate::place;
use crate::process::Process;

/// What a Redis is called in errors.
const NAME: &str = "redis-server";

/// A Redis that keeps everything in memory. It listens at a socket of the file system alone, so that it needs no port and
/// comes back at the same place. It ends when this is dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    folder: TempDir,
}

impl Redis {
    /// Starts Redis and waits until it listens.
    ///
    /// # Errors
    /// Where there is none, or it does not start.
    pub async fn start() -> Result<Self, StartFailure> {
        let folder =
            TempDir::with_prefix("ackguard-redis-").map_err(|source| StartFailure::System { name: NAME, source })?;
        let mut redis = Self { process: None, folder };
        redis.restart().await?;
        Ok(redis)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Kills it. What it held is lost.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, empty, at the same place.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn restart(&mut self) -> Result<(), StartFailure> {
        self.kill();
        let socket = self.socket();
        // A killed one leaves its socket behind, which nobody can connect to.
        let _ = std::fs::remove_file(&socket);
        let program = place::redis()?;
        let path = |path: PathBuf| path.display().to_string();
        let folder = path(self.folder.path().to_owned());
        let arguments = ["--port", "0", "--unixsocket", &path(socket.clone()), "--dir", &folder];
        let in_memory = ["--save", "", "--appendonly", "no"];
        let arguments: Vec<String> = arguments.iter().chain(&in_memory).map(|text| (*text).to_owned()).collect();
        let mut process = Process::start(NAME, &program, &arguments, &self.folder.path().join("log"))?;
        process.ready("Redis at its socket", async || UnixStream::connect(&socket).ok()).await?;
        self.process = Some(process);
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}
