//! The counters in Redis: a key for each, which expires with its window.
//!
//! limitador's own Redis storage is not used. It is compiled only together with its RocksDB storage (its `keys.rs` needs
//! a module that stands behind that feature), it needs OpenSSL, and it looks first and counts afterwards, so that two who
//! ask at once can both get the last hit. Here one script does both.

use std::time::Duration;

use limitador::counter::Counter;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};

/// How long Redis may take to answer, or to take a connection.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Counts hits by all counters or by none. KEYS are the counters; ARGV has the hits, and then for each counter the most that
/// it may reach and its window in milliseconds. Returns for each: whether it has room, its value after all of it, and the
/// milliseconds until it expires.
const COUNT: &str = r"
local hits, answer, fits = tonumber(ARGV[1]), {}, true
for i, key in ipairs(KEYS) do
    local value = tonumber(redis.call('get', key) or 0)
    local room = value + hits <= tonumber(ARGV[2 * i])
    fits = fits and room
    answer[i] = { room and 1 or 0, value, redis.call('pttl', key) }
end
if fits then
    for i, key in ipairs(KEYS) do
        answer[i][2] = redis.call('incrby', key, ARGV[1])
        if answer[i][3] < 0 then
            redis.call('pexpire', key, ARGV[2 * i + 1])
            answer[i][3] = tonumber(ARGV[2 * i + 1])
        end
    end
end
return answer
";

/// Counters that many services share.
#[derive(Clone)]
pub struct Store {
    connection: ConnectionManager,
    script: Script,
}

/// A counter, and what became of it.
pub(crate) struct Counted {
    /// The counter, with what remains of it and when it expires.
    pub(crate) counter: Counter,
    /// Whether it had room.
    pub(crate) room: bool,
}

impl Store {
    /// The Redis at `url`, which need not run yet.
    ///
    /// # Errors
    /// Where `url` is none.
    pub fn new(url: &str) -> Result<Store, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        Ok(Store { connection, script: Script::new(COUNT) })
    }

    /// Counts `hits` by the counters of a descriptor: by all of them, or by none where one has no room.
    ///
    /// # Errors
    /// Where Redis gives no answer.
    pub(crate) async fn count(&self, counters: Vec<Counter>, hits: u64) -> Result<Vec<Counted>, RedisError> {
        if counters.is_empty() {
            return Ok(Vec::new());
        }
        let mut invocation = self.script.prepare_invoke();
        invocation.arg(hits);
        for counter in &counters {
            let window = u64::try_from(counter.window().as_millis()).unwrap_or(u64::MAX);
            invocation.key(key(counter)).arg(counter.max_value()).arg(window);
        }
        let answer: Vec<(bool, u64, i64)> = invocation.invoke_async(&mut self.connection.clone()).await?;
        let counted = counters.into_iter().zip(answer).map(|(mut counter, (room, value, expires))| {
            counter.set_remaining(counter.max_value().saturating_sub(value));
            let window = counter.window();
            counter.set_expires_in(u64::try_from(expires).map_or(window, Duration::from_millis));
            Counted { counter, room }
        });
        Ok(counted.collect())
    }
}

/// What names a counter: its limit's conditions and the values of its variables, as limitador's own storage has it.
fn key(counter: &Counter) -> String {
    let limit = serde_json::to_string(counter.limit()).unwrap_or_default();
    format!("rate-limit-service:{limit}:{:?}", counter.set_variables())
}
