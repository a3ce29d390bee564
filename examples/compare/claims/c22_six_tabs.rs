//! C22: several tabs of one browser.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::browser::{self, Fetch};
use crate::lab::model::Model;
use crate::lab::nginx::{HOW_TO_GET, Nginx};

const LOADED: Quantity = Quantity { name: "whether one more page loads", unit: "" };

const TABS: [usize; 4] = [1, 5, 6, 7];
const LIMIT: usize = 6;
const APART: &str = "a stream for each tab";
const SHARED: &str = "one stream for all tabs";
const HTTP2: &str = "a stream for each tab over HTTP/2";
const TOPIC: &str = "c22";
/// curl 7.88 sends a request that shares a connection up to a second late.
const CURL_SECONDS: &str = "2.5";

pub(crate) const CLAIM: Claim = Claim {
    id: "C22",
    sentence: "Six tabs with an event stream each freeze a site.",
    source: "MDN, \"Using server-sent events\": browsers allow six HTTP/1.1 connections per domain, over all tabs, and say that they will not \
             fix this (Chromium issue 275955, Firefox bug 906896).",
    setup: "A browser with 6 connections to one host has 1, 5, 6 or 7 tabs. Each tab has an event stream, or all tabs share one (SharedWorker \
            or BroadcastChannel). Then one more page is loaded. With an HTTP/2 proxy (nginx, with curl as the client), all streams share one \
            connection.",
    measured: "Whether the page loads within 0.4 s (quick) or 2 s (full), and within 2.5 s over HTTP/2.",
    rule: "It holds if, with a stream for each tab, the page loads beside 5 tabs and does not load beside 6; and if it loads beside 7 tabs that \
           share one stream. It does not hold if it loads beside 6 tabs with a stream each. Otherwise nothing is shown. The HTTP/2 proxy is \
           shown beside it and decides nothing.",
    needs: &[Model::EventLoop],
    takes: &[Model::Threads],
    is_timed: false,
    chart: Chart::bars(LOADED, "tabs"),
    explanation: "The limit is the browser's, and it is counted over all tabs. One shared stream needs one connection. HTTP/2 has many streams \
                  in one connection.",
    file: "src/push/techniques/sse.rs",
    seconds: [7.0, 20.0],
    measure,
    judge,
};

fn at(tabs: usize) -> String {
    if tabs == 1 { "1 tab".to_owned() } else { format!("{tabs} tabs") }
}

fn column(model: Model, how: &str) -> String {
    format!("{model}, {how}")
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let wait = Duration::from_millis(lab.effort().pick(400, 2_000));
    for model in lab.models() {
        let server = lab.start(model)?;
        let nginx = Nginx::start(server.address)?;
        let most_tabs = TABS[TABS.len() - 1];
        for tabs in TABS {
            for (how, streams) in [(APART, tabs), (SHARED, 1)] {
                lab.step(&format!("{}, {how}, {model}", at(tabs)))?;
                browser::wait_for_subscribers(server.address, TOPIC, 0)?;
                let stream = Fetch::Feed { target: format!("/topics/{TOPIC}/events"), wanted: vec!["a message".to_owned()] };
                let mut fetches = vec![stream; streams];
                fetches.push(Fetch::Page { target: "/plaintext".to_owned() });
                let publish = || browser::publish(server.address, &[TOPIC.to_owned()], |_| "a message".to_owned());
                let fetched = browser::load(server.address, LIMIT, &fetches, wait, publish)?;
                let page = fetched.last().ok_or("a page has requests")?;
                findings.add(LOADED, column(model, how), &at(tabs), tabs as f64, vec![page.arrived as f64]);
            }
        }
        if let Some(nginx) = &nginx
            && model == Model::EventLoop
            && let Some(is_loaded) = load_with_curl(nginx, most_tabs)?
        {
            findings.add(LOADED, column(model, HTTP2), &at(most_tabs), most_tabs as f64, vec![f64::from(u8::from(is_loaded))]);
        }
        if nginx.is_none() {
            findings.notes.push(format!("Without an HTTP/2 proxy: {HOW_TO_GET}."));
        }
    }
    Ok(findings)
}

/// Loads the streams of all tabs and then one page over one HTTP/2 connection. `None` if there is no
/// curl that speaks HTTP/2.
fn load_with_curl(nginx: &Nginx, tabs: usize) -> Result<Option<bool>> {
    let has_http2 = Command::new("curl").arg("--version").output().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("HTTP2"));
    if !has_http2 {
        return Ok(None);
    }
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--http2-prior-knowledge", "--parallel", "--parallel-max", "50", "--max-time", CURL_SECONDS]);
    for _ in 0..tabs {
        curl.args(["--output", if cfg!(windows) { "NUL" } else { "/dev/null" }]).arg(format!("http://{}/topics/{TOPIC}/events", nginx.http2));
    }
    // The body of the page goes to standard output.
    let output = curl.arg(format!("http://{}/plaintext", nginx.http2)).stdin(Stdio::null()).output()?;
    Ok(Some(String::from_utf8_lossy(&output.stdout).contains(crate::server::app::PLAINTEXT)))
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let loads = |how: &'static str, tabs: usize| {
        let figures = Model::ALL.into_iter().filter_map(|model| findings.median(LOADED, column(model, how), &at(tabs)));
        let figures: Vec<f64> = figures.collect();
        // All models must agree.
        figures.first().filter(|first| figures.iter().all(|figure| figure == *first)).map(|first| *first > 0.0)
    };
    let (Some(beside_5), Some(beside_6), Some(shared)) = (loads(APART, 5), loads(APART, 6), loads(SHARED, 7)) else {
        return Ruling::missing("5, 6 and 7 tabs on which the models agree");
    };
    let verdict = match (beside_5, beside_6, shared) {
        (true, false, true) => Verdict::Holds,
        (_, true, _) => Verdict::DoesNotHold,
        _ => Verdict::NotShown,
    };
    let word = |is_loaded| if is_loaded { "loads" } else { "does not load" };
    let http2 = loads(HTTP2, 7).map_or_else(String::new, |is_loaded| format!(" Through an HTTP/2 proxy, it {} beside 7.", word(is_loaded)));
    Ruling::new(
        verdict,
        format!(
            "One more page {} beside 5 tabs with a stream each, and {} beside 6. It {} beside 7 tabs that share a stream.{http2}",
            word(beside_5),
            word(beside_6),
            word(shared)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |beside_5, beside_6, shared| {
            let mut findings = Findings::default();
            for (how, tabs, value) in [(APART, 5, beside_5), (APART, 6, beside_6), (SHARED, 7, shared)] {
                findings.add(LOADED, column(Model::EventLoop, how), &at(tabs), 0.0, vec![value]);
            }
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict(1.0, 0.0, 1.0), Verdict::Holds);
        assert_eq!(verdict(1.0, 1.0, 1.0), Verdict::DoesNotHold);
        assert_eq!(verdict(0.0, 0.0, 1.0), Verdict::NotShown, "the server was too slow for 5 tabs, too");
        assert_eq!(verdict(1.0, 0.0, 0.0), Verdict::NotShown);
    }
}
