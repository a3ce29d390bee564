//! C22: several tabs of one browser.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::browser::{self, Fetch};
use crate::lab::model::Model;
use crate::lab::nginx::{HOW_TO_GET, Nginx};
use crate::server::app::PLAINTEXT;

const LOADED: Quantity = Quantity { name: "whether one more page loads", unit: "" };

const TABS: [usize; 4] = [1, 5, 6, 7];
const LIMIT: usize = 6;
const APART: &str = "a stream for each tab";
const SHARED: &str = "one stream for all tabs";
const HTTP2: &str = "a stream for each tab over HTTP/2";
const TOPIC: &str = "c22";
/// The client of an HTTP/2 proxy.
const CLIENT: &str = include_str!("../lab/http2.js");
const NODE_START: Duration = Duration::from_secs(2);

pub(crate) const CLAIM: Claim = Claim {
    id: "C22",
    sentence: "Six tabs with an event stream each freeze a site.",
    source: "MDN, \"Using server-sent events\": browsers allow six HTTP/1.1 connections per domain, over all tabs, and say that they will not \
             fix this (Chromium issue 275955, Firefox bug 906896).",
    setup: "A browser with 6 connections to one host has 1, 5, 6 or 7 tabs. Each tab has an event stream, or all tabs share one (SharedWorker \
            or BroadcastChannel). Then one more page is loaded. With an HTTP/2 proxy (nginx, with Node as the client), all streams share one \
            connection.",
    measured: "Whether the page loads within 0.4 s (quick) or 2 s (full).",
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
                let outcomes = browser::load(server.address, LIMIT, &fetches, wait, publish)?;
                let page = outcomes.last().ok_or("a page has requests")?;
                findings.add(LOADED, column(model, how), &at(tabs), tabs as f64, vec![page.arrived as f64]);
            }
        }
        if let Some(nginx) = &nginx
            && model == Model::EventLoop
            && let Some(is_loaded) = load_over_http2(nginx, most_tabs, wait)?
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
/// node to do it.
fn load_over_http2(nginx: &Nginx, tabs: usize, wait: Duration) -> Result<Option<bool>> {
    let mut node = Command::new("node");
    node.args(["-e", CLIENT, "--"]).arg(format!("http://{}", nginx.http2)).arg(format!("/topics/{TOPIC}/events"));
    node.arg(tabs.to_string()).arg("/plaintext").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut node) = node.spawn() else { return Ok(None) };
    // Node itself takes a moment to start.
    let end = Instant::now() + wait + NODE_START;
    while node.try_wait()?.is_none() {
        if Instant::now() > end {
            node.kill()?;
            node.wait()?;
            return Ok(Some(false));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = node.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("Node's HTTP/2 client failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout) == PLAINTEXT))
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let loads = |how: &'static str, tabs: usize| {
        let figures = Model::ALL.into_iter().filter_map(|model| findings.median(LOADED, column(model, how), &at(tabs)));
        let figures: Vec<bool> = figures.map(|figure| figure > 0.0).collect();
        // All models must agree.
        figures.first().copied().filter(|first| figures.iter().all(|figure| figure == first))
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
