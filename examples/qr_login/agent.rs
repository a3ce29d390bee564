//! A browser's name in a few words, so that a person can recognise the browser.
//!
//! Owns a short list of names. Leaves every decision to others: a client can send any `User-Agent`.
//! The result contains only words of this list, never text of the field, so that it is safe to show
//! anywhere.

/// The more specific name comes first: a browser's `User-Agent` often contains the names of others.
const BROWSERS: [(&str, &str); 10] = [
    ("MicroMessenger/", "WeChat"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// A name such as `Firefox on Linux`.
pub(crate) fn name(user_agent: Option<&[u8]>) -> String {
    let text = String::from_utf8_lossy(user_agent.unwrap_or_default());
    let find = |names: &[(&str, &'static str)]| names.iter().find(|(part, _)| text.contains(part)).map(|(_, name)| *name);
    let browser = find(&BROWSERS).unwrap_or("a browser");
    find(&SYSTEMS).map_or_else(|| browser.to_owned(), |system| format!("{browser} on {system}"))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn well_known_browsers_are_recognised() {
        for (text, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.14.1", "curl"),
            ("<script>", "a browser"),
        ] {
            assert_eq!(name(Some(text.as_bytes())), expected, "{text}");
        }
        assert_eq!(name(None), "a browser");
        assert_eq!(name(Some(b"\xFF Firefox/140.0 \xE9 (Linux)")), "Firefox on Linux");
    }
}
