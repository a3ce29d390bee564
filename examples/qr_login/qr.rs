//! An address as a QR code (ISO/IEC 18004), in SVG.
//!
//! Owns the drawing: black on white with a quiet zone of four modules, also on a dark page, because
//! many phones cannot read the inverse. Leaves the encoding to the library `qrcode`.

use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};

/// The minimum size of each side in pixels. The page scales the picture.
const SIDE: u32 = 256;

/// `None` if the text is too long for a code.
pub(crate) fn svg(text: &str) -> Option<String> {
    // The second of four levels of redundancy is enough: a screen is neither dirty nor torn. Less
    // redundancy leaves larger modules.
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
