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

const SCRIPTS: &[(&str, &str)] = &texts!["page":
    "app.js", "axis.js", "chart.js", "comparison.js", "controls.js", "facts.js", "feed.js", "figures.js", "lag.js",
    "newest.js", "panel.js", "server.js", "slow.js", "steps.js", "tabs.js", "timeline.js", "tour.js", "wire.js",
];

const STYLES: &[(&str, &str)] = &texts!["page": "comparison.css", "panel.css", "style.css"];

const SOURCES: &[(&str, &str)] = &texts!["../../src/push/techniques":
    "iframe.rs", "jsonp.rs", "long_poll.rs", "meta_refresh.rs", "multipart.rs", "short_poll.rs", "sse.rs", "stream.rs",
    "websocket.rs",
];

/// A script or a style sheet of the page.
pub(crate) fn of_page(name: &str) -> Response {
    let script = find(SCRIPTS, name).map(|text| file("text/javascript; charset=utf-8", text));
    let style = || find(STYLES, name).map(|text| file("text/css; charset=utf-8", text));
    script.or_else(style).unwrap_or_else(|| Response::status(404))
}

/// The source of a technique.
pub(crate) fn source(name: &str) -> Response {
    find(SOURCES, name).map_or_else(|| Response::status(404), |text| file("text/plain; charset=utf-8", text))
}

fn find(files: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    files.iter().find(|(found, _)| *found == name).map(|(_, text)| *text)
}
