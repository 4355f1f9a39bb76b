//! A headless Chromium for tests. [`Browser`] opens a page and does what a person does with it; [`Browser::look`] takes a
//! [`Look`] at the whole page at one width in one theme, of which [`Look::faults`] says what no page may have and
//! [`Look::pixels`] what colours are where.
//!
//! A golden picture differs with every other Chromium and font. What is checked here holds with any: it is what the page's
//! own style and layout say, held against the pixels.
//!
//! The crate is for tests: what cannot be done panics with its reason. It needs what `make chromium` finds or fetches.

mod browser;
mod layout;
mod look;
mod pixels;
mod process;
mod view;

pub use browser::Browser;
pub use layout::Rect;
pub use look::Look;
pub use pixels::{Color, Pixels};
pub use view::{Theme, View};
