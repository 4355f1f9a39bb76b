//! The live page as people see it: in a headless Chromium, each test with a broker and a browser of its own.

mod broker;
mod faults;
mod guard;
mod live;
mod page;
mod seen;
mod shown;
