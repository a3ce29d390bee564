//! An address as a QR code (ISO/IEC 18004), in SVG.
//!
//! Owns how it is drawn: black on white with the quiet zone of four modules, also on a dark page, for many phones do not read the inverse.
//! Refuses the encoding itself, which is a library's.

use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};

/// Pixels of either side, at least. The page makes it as large as it likes.
const SIDE: u32 = 256;

/// `None` if the text is too long for a code.
pub(crate) fn svg(text: &str) -> Option<String> {
    // Screens are neither dirty nor torn: the second of four levels of redundancy leaves the modules large.
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    Some(code.render().min_dimensions(SIDE, SIDE).quiet_zone(true).dark_color(Color("#000")).light_color(Color("#fff")).build())
}

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn a_code_is_a_picture_that_names_its_colours() {
        let picture = svg("http://192.168.1.20:8080/scan/0123456789012345678901").unwrap_or_default();
        assert!(picture.contains("<svg") && picture.contains("#000") && picture.contains("#fff"), "{picture}");
    }

    #[test]
    fn a_text_that_is_too_long_is_none() {
        assert!(svg(&"x".repeat(2331)).is_some(), "as much as the largest code has room for at this level");
        assert!(svg(&"x".repeat(2332)).is_none());
    }
}
