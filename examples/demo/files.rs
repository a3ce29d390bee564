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
    "app.js", "axis.js", "chart.js", "comparison.js", "controls.js", "facts.js", "feed.js", "figures.js", "lag.js",
    "newest.js", "panel.js", "server.js", "slow.js", "steps.js", "tabs.js", "timeline.js", "tour.js", "wire.js",
    "comparison.css", "panel.css", "style.css",
];

const SOURCES: &[(&str, &str)] = &texts!["../../src/push/techniques":
    "iframe.rs", "jsonp.rs", "long_poll.rs", "meta_refresh.rs", "multipart.rs", "short_poll.rs", "sse.rs", "stream.rs",
    "websocket.rs",
];

/// A script or a style sheet of the page.
pub(crate) fn of_page(name: &str) -> Response {
    let content_type = if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
    answer(PAGE, name, content_type)
}

/// The source of a technique.
pub(crate) fn source(name: &str) -> Response {
    answer(SOURCES, name, "text/plain; charset=utf-8")
}

fn answer(files: &[(&str, &'static str)], name: &str, content_type: &'static str) -> Response {
    match files.iter().find(|(found, _)| *found == name) {
        Some((_, text)) => file(content_type, *text),
        None => Response::status(404),
    }
}
