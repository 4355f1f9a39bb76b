//! What a page's layout says: where its texts are.

use serde::Deserialize;

use crate::pixels::Color;

/// The functions that measure a page in it.
pub(crate) const SCRIPT: &str = include_str!("layout.js");

/// How much of the lower one of two lines may lie in the other's place: a font's box is higher than its glyphs, so that
/// lines that are set close share some of it.
const SHARED: f64 = 0.3;

/// A place on the page, in CSS pixels from the page's left top corner.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rect {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    /// The right edge.
    #[must_use]
    pub fn right(self) -> f64 {
        self.left + self.width
    }

    /// The bottom edge.
    #[must_use]
    pub fn bottom(self) -> f64 {
        self.top + self.height
    }

    /// The place inside of a border of this width.
    #[must_use]
    pub fn inside(self, border: f64) -> Self {
        Self {
            left: self.left + border,
            top: self.top + border,
            width: self.width - 2.0 * border,
            height: self.height - 2.0 * border,
        }
    }

    /// Whether lines in these places cannot both be read.
    fn hides(self, other: Self) -> bool {
        let across = self.right().min(other.right()) - self.left.max(other.left);
        let down = self.bottom().min(other.bottom()) - self.top.max(other.top);
        across > 1.0 && down > SHARED * self.height.min(other.height)
    }
}

/// A text of the page.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// The place of each of its lines that can be seen.
    pub(crate) lines: Vec<Rect>,
    /// Whether a part cannot be seen and not be scrolled to.
    cut: bool,
}

/// A whole page.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Layout {
    /// How wide and high everything is.
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) background: Color,
    pub(crate) texts: Vec<Text>,
}

impl Layout {
    /// What is not to be in any layout of this width.
    pub(crate) fn faults(&self, width: u32) -> Vec<String> {
        let mut faults = Vec::new();
        if self.width > f64::from(width) {
            faults.push(format!("the page is {} px wide", self.width));
        }
        faults.extend(self.texts.iter().filter(|text| text.cut).map(|text| format!("{:?} is cut off", text.text)));
        for (index, text) in self.texts.iter().enumerate() {
            for other in &self.texts[index + 1..] {
                if text.lines.iter().any(|line| other.lines.iter().any(|beside| line.hides(*beside))) {
                    faults.push(format!("{:?} and {:?} are in one place", text.text, other.text));
                }
            }
        }
        faults
    }
}
