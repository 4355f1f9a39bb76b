//! How a page is looked at.

use std::fmt;

use serde_json::json;

use crate::browser::Browser;

/// A colour scheme that a reader may prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light page.
    Light,
    /// Light text on a dark page.
    Dark,
}

impl Theme {
    /// The scheme's name in CSS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A window's width and the reader's theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// In CSS pixels.
    pub width: u32,
    /// What the reader prefers.
    pub theme: Theme,
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.width, self.theme.name())
    }
}

/// A desk's window and a phone's.
const DESK: u32 = 1_400;
const PHONE: u32 = 390;

impl View {
    /// On a desk and on a phone, in each theme.
    pub const ALL: [Self; 4] = [
        Self { width: DESK, theme: Theme::Light },
        Self { width: DESK, theme: Theme::Dark },
        Self { width: PHONE, theme: Theme::Light },
        Self { width: PHONE, theme: Theme::Dark },
    ];

    /// Pixels of the screen for each of CSS, in both directions. With two, a stroke of small text is wide enough to fill one,
    /// so that the text's own colour is among the pixels with any font.
    pub(crate) const SCALE: u32 = 2;

    /// Has `browser` show its page like this.
    pub(crate) async fn apply(self, browser: &Browser) {
        browser.resize(self.width, 900, Self::SCALE).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": self.theme.name() });
        // Stated again, since this replaces what the command line says.
        let still = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        browser.chrome("Emulation.setEmulatedMedia", json!({ "features": [scheme, still] })).await;
        let query = format!("(width: {}px) and (prefers-color-scheme: {})", self.width, self.theme.name());
        browser.until(&format!("matchMedia('{query}').matches")).await;
    }
}
