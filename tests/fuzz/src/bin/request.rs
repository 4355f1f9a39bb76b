//! AFL++'s way into the law of requests.

fn main() {
    afl::fuzz(true, fuzz::request);
}
