//! The files that are compiled into the demo: the page, and the sources of the techniques, which the
//! page links to.
//!
//! Owns their names and types. Leaves `index.html` and the endpoints to `app`.

use pushlab::Response;

use crate::common::file;

/// Names and texts of files in a directory.
macro_rules! texts {
    ($directory:literal: $($name:literal),* $(,)?) => { [$(($name, include_str!(concat!($directory, "/", $name)))),*] };
}

const PAGE: &[(&str, &str)] = &texts!["page":
    "app.js", "axis.js", "chart.js", "comparison.css", "comparison.js", "controls.js", "facts.js", "feed.js",
    "figures.js", "lag.js", "newest.js", "panel.css", "panel.js", "server.js", "slow.js", "steps.js", "style.css",
    "tabs.js", "timeline.js", "tour.js", "wire.js",
];

/// The page with two frames.
const FRAMES: &[(&str, &str)] = &texts!["page/frames": "control.html", "control.js", "display.html", "frames.html"];

const SOURCES: &[(&str, &str)] = &texts!["../../src/push/techniques":
    "iframe.rs", "jsonp.rs", "long_poll.rs", "meta_refresh.rs", "multipart.rs", "short_poll.rs", "sse.rs", "stream.rs",
    "websocket.rs",
];

/// A script or a style sheet of the page.
pub(crate) fn of_page(name: &str) -> Response {
    find(PAGE, name)
}

/// The page with two frames, one of its frames, or their script. The path of the page has no name.
pub(crate) fn of_frames(name: &str) -> Response {
    find(FRAMES, if name.is_empty() { "frames.html" } else { name })
}

/// The source of a technique.
pub(crate) fn source(name: &str) -> Response {
    find(SOURCES, name)
}

fn find(files: &[(&str, &'static str)], name: &str) -> Response {
    let content_type = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    let found = files.iter().find(|(found, _)| *found == name);
    found.map_or_else(|| Response::status(404), |(_, text)| file(content_type, *text))
}
