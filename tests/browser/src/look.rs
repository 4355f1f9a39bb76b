//! A look at a whole page.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::browser::{Browser, DEADLINE};
use crate::layout::{Layout, Rect, SCRIPT};
use crate::pixels::Pixels;
use crate::view::{Theme, View};

/// The least contrast of text with what is behind it: WCAG 2.2, success criterion 1.4.3.
const CONTRAST: f64 = 4.5;

/// A whole page as it is seen, and as it says that it is.
#[derive(Debug)]
pub struct Look<T> {
    /// How it was looked at.
    pub view: View,
    /// What was measured in the page.
    pub measured: T,
    /// What is seen.
    pub pixels: Pixels,
    layout: Layout,
}

/// What the page says of itself at one moment.
#[derive(Deserialize)]
struct Told<T> {
    layout: Layout,
    measured: T,
}

impl Browser {
    /// Looks at the whole page, and leaves the picture under `target/screens/` by this name for a person to look at.
    /// `measure` is a JavaScript expression of what else is to be known of the page at that moment; in it `rectOf(element)`
    /// is a [`Rect`] and `color(element, "borderTopColor")` a [`Color`](crate::Color).
    pub async fn look<T: DeserializeOwned>(&self, name: &str, view: View, measure: &str) -> Look<T> {
        view.apply(self).await;
        let measure = format!("{SCRIPT}; scrollTo(0, 0); return {{ layout: layout(), measured: ({measure}) }}");
        let deadline = Instant::now() + DEADLINE;
        let mut before = self.run(&measure).await;
        // A page that changed meanwhile is not the one in the picture.
        let (told, png) = loop {
            let png = self.picture(view, &before["layout"]["height"]).await;
            let after = self.run(&measure).await;
            if after == before {
                break (after, png);
            }
            assert!(Instant::now() < deadline, "{name} never stands still at {view}");
            before = after;
        };
        let path = screens().join(format!("{name}-{view}.png"));
        fs::create_dir_all(screens()).and_then(|()| fs::write(&path, &png)).unwrap();
        let Told { layout, measured } = serde_json::from_value(told).unwrap();
        Look { view, measured, pixels: Pixels::decode(&png, View::SCALE), layout }
    }

    /// A PNG of the page from its top to `height`.
    async fn picture(&self, view: View, height: &Value) -> Vec<u8> {
        let clip = json!({ "x": 0, "y": 0, "width": view.width, "height": height, "scale": 1 });
        let parameters = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let captured = self.chrome("Page.captureScreenshot", parameters).await;
        BASE64_STANDARD.decode(captured["data"].as_str().unwrap()).unwrap()
    }
}

/// Where the pictures go.
fn screens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screens")
}

impl<T> Look<T> {
    /// What no page may have: a part beyond the window's side, a text that is cut off, that lies on another or that is too
    /// faint, and a background that is not the theme's.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.layout.faults(self.view.width);
        for text in &self.layout.texts {
            if let Some(contrast) = self.pixels.contrast(&text.lines).filter(|contrast| *contrast < CONTRAST) {
                faults.push(format!("{:?} has a contrast of {contrast:.2}", text.text));
            }
        }
        let background = self.layout.background;
        let luminance = background.luminance();
        let fits = match self.view.theme {
            Theme::Light => luminance > 0.5,
            Theme::Dark => luminance < 0.1,
        };
        if !fits {
            faults.push(format!("the background of luminance {luminance:.2} is not the theme's"));
        }
        // Nothing but the background comes near the window's sides.
        for left in [0.0, f64::from(self.view.width) - 2.0] {
            let side = Rect { left, top: 0.0, width: 2.0, height: self.layout.height };
            let share = self.pixels.share_of(background, side);
            if share < 1.0 {
                faults.push(format!("{:.1} % of the side at {left} is not the background", 100.0 * (1.0 - share)));
            }
        }
        faults.into_iter().map(|fault| format!("{}: {fault}", self.view)).collect()
    }
}
