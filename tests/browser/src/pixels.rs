//! What is seen: the pixels of a page.

use serde::Deserialize;

use crate::layout::Rect;

/// How far a channel may be from a colour's that is the same: what rounding makes of it, and less than lies between any two
/// colours of a theme.
const NEAR: u8 = 2;

/// An opaque colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Color(pub [u8; 3]);

impl TryFrom<String> for Color {
    type Error = String;

    /// Reads a computed style's `rgb(…)`.
    fn try_from(style: String) -> Result<Self, Self::Error> {
        let numbers = style.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')'));
        let channels = numbers.and_then(|numbers| numbers.split(", ").map(|channel| channel.parse().ok()).collect());
        let channels = channels.and_then(|channels: Vec<u8>| channels.try_into().ok());
        channels.map(Self).ok_or_else(|| format!("{style} is no opaque colour, expected rgb(red, green, blue)"))
    }
}

impl Color {
    /// WCAG's relative luminance, from 0 for black to 1 for white.
    #[must_use]
    pub fn luminance(self) -> f64 {
        let linear = |channel: u8| match f64::from(channel) / 255.0 {
            low if low <= 0.040_45 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn is_near(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(one, other)| one.abs_diff(other) <= NEAR)
    }
}

/// The picture of a whole page. Places in it are the page's, in CSS pixels.
#[derive(Debug)]
pub struct Pixels {
    rows: Vec<Vec<Color>>,
    scale: f64,
}

impl Pixels {
    /// Decodes a PNG whose pixels are `scale` to one of CSS.
    ///
    /// # Panics
    /// Where it is none, or has no colours of 8 bits.
    #[must_use]
    pub fn decode(png: &[u8], scale: u32) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let (color, depth) = reader.output_color_type();
        assert_eq!(depth, png::BitDepth::Eight);
        let samples = color.samples();
        assert!(samples >= 3, "{color:?}");
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().unwrap() {
            rows.push(row.data().chunks_exact(samples).map(|pixel| Color([pixel[0], pixel[1], pixel[2]])).collect());
        }
        Self { rows, scale: f64::from(scale) }
    }

    /// The pixels that lie wholly inside `rect`.
    fn within(&self, rect: Rect) -> impl Iterator<Item = Color> {
        let first = |edge: f64| (edge * self.scale).ceil().max(0.0) as usize;
        let end = |edge: f64| (edge * self.scale).floor().max(0.0) as usize;
        let (top, bottom) = (first(rect.top), end(rect.bottom()));
        let (left, right) = (first(rect.left), end(rect.right()));
        let rows = self.rows.iter().take(bottom).skip(top);
        rows.flat_map(move |row| row.iter().take(right).skip(left).copied())
    }

    /// The part of `rect` that has this colour, from 0 to 1.
    ///
    /// # Panics
    /// Where no pixel lies inside `rect`.
    #[must_use]
    pub fn share_of(&self, color: Color, rect: Rect) -> f64 {
        let (mut all, mut alike) = (0_u32, 0_u32);
        for pixel in self.within(rect) {
            all += 1;
            alike += u32::from(pixel.is_near(color));
        }
        assert!(all > 0, "nothing is seen in {rect:?}");
        f64::from(alike) / f64::from(all)
    }

    /// How much of this colour there is in `rect`, in square CSS pixels.
    #[must_use]
    pub fn ink_of(&self, color: Color, rect: Rect) -> f64 {
        self.share_of(color, rect) * rect.width * rect.height
    }

    /// WCAG's contrast between the lightest and the darkest pixel of `rects`; none where there are no pixels.
    ///
    /// For the rectangle of a line of text this is the contrast of the text with what is behind it. Nothing else is drawn
    /// there, and a glyph's smooth edge is a mixture of both, whose luminance lies between theirs. A stroke that is too thin
    /// to fill a pixel gives less than the colours have, which is what its reader sees.
    #[must_use]
    pub fn contrast(&self, rects: &[Rect]) -> Option<f64> {
        let (mut darkest, mut lightest) = (None, None);
        let mut last = None;
        for pixel in rects.iter().flat_map(|rect| self.within(*rect)) {
            // Most pixels are their neighbours' like, and a luminance is dear.
            if last != Some(pixel) {
                last = Some(pixel);
                let luminance = pixel.luminance();
                darkest = Some(darkest.map_or(luminance, |darkest: f64| darkest.min(luminance)));
                lightest = Some(lightest.map_or(luminance, |lightest: f64| lightest.max(luminance)));
            }
        }
        Some((lightest? + 0.05) / (darkest? + 0.05))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 3] = [255, 0, 0];
    const WHITE: [u8; 3] = [255, 255, 255];

    /// Two CSS pixels wide and one high, the left one red, of which each is 2 by 2 pixels.
    fn half_red() -> Pixels {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 4, 2);
        encoder.set_color(png::ColorType::Rgb);
        let row = [RED, RED, WHITE, WHITE].concat();
        encoder.write_header().unwrap().write_image_data(&row.repeat(2)).unwrap();
        Pixels::decode(&bytes, 2)
    }

    #[test]
    fn a_share_is_of_the_pixels_inside_the_rectangle() {
        let rect = |left, width| Rect { left, top: 0.0, width, height: 1.0 };
        let (red, nearly, other) = (Color(RED), Color([253, 2, 0]), Color([252, 0, 0]));
        for (color, rect, share, ink) in [
            (red, rect(0.0, 2.0), 0.5, 1.0),
            (nearly, rect(0.0, 2.0), 0.5, 1.0),
            (other, rect(0.0, 2.0), 0.0, 0.0),
            (red, rect(0.0, 1.0), 1.0, 1.0),
            (red, rect(-5.0, 6.0), 1.0, 6.0),
            (red, rect(0.1, 1.3), 1.0, 1.3),
            (red, rect(1.0, 9.0), 0.0, 0.0),
        ] {
            let pixels = half_red();
            assert_eq!((pixels.share_of(color, rect), pixels.ink_of(color, rect)), (share, ink), "{color:?} {rect:?}");
        }
    }

    #[test]
    fn contrast_is_wcags() {
        let whole = Rect { left: 0.0, top: 0.0, width: 2.0, height: 1.0 };
        let contrast = half_red().contrast(&[whole]).unwrap();
        assert!((contrast - 4.0).abs() < 0.01, "{contrast}");
        assert_eq!(half_red().contrast(&[Rect { width: 1.0, ..whole }]), Some(1.0));
        assert_eq!(half_red().contrast(&[Rect { left: 2.0, ..whole }]), None);
        let extremes = [Color([0, 0, 0]), Color(WHITE)].map(Color::luminance);
        assert_eq!(extremes, [0.0, 1.0]);
    }

    #[test]
    fn a_color_is_read_from_a_computed_style() {
        assert_eq!(Color::try_from("rgb(1, 20, 255)".to_owned()), Ok(Color([1, 20, 255])));
        for other in ["rgba(0, 0, 0, 0)", "rgb(1, 2)", "rgb(1, 2, 256)", "red"] {
            assert!(Color::try_from(other.to_owned()).is_err(), "{other}");
        }
    }
}
