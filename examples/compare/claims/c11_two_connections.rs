//! C11: a page with one connection for each feed.

use std::time::Duration;

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::browser::{self, Fetch};
use crate::lab::model::Model;

const FEEDS_SERVED: Quantity = Quantity { name: "feeds that got their message, of 7", unit: "" };
const CONTROL: Quantity = Quantity { name: "control requests that were answered, of 1", unit: "" };

const FEEDS: usize = 7;
const LIMITS: [usize; 2] = [2, 6];
const APART: &str = "a connection for each feed";
const SHARED: &str = "one connection for all feeds";

pub(crate) const CLAIM: Claim = Claim {
    id: "C11",
    sentence: "With two or six connections per host, a page that opens one connection for each feed freezes.",
    source: "RFC 2616 (1999), section 8.1.4, allows two connections per server. Crane and McCarthy, \"Comet and Reverse Ajax\" (2008), give \
             this as the reason for one connection per page. Browsers have six for HTTP/1.1 today.",
    setup: "A page opens 7 feeds and then sends a control request, in a browser with 2 or with 6 connections. The feeds are event streams: one \
            for each feed, or one for all 7 topics. Then each topic gets one message.",
    measured: "How many feeds get their message, and whether the control request is answered, within 0.4 s (quick) or 2 s (full).",
    rule: "It holds if, with a connection for each feed, at least one feed gets no message and the control request gets no answer, for both \
           limits and on each model; and if, with one connection for all feeds, all 7 messages arrive and the control request is answered. \
           It does not hold if the control request is answered with a connection for each feed. Otherwise nothing is shown.",
    needs: &[Model::EventLoop],
    takes: &[Model::Threads, Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::bars(FEEDS_SERVED, "browser"),
    explanation: "A stream keeps its connection. The browser queues further requests until a connection is free, which never happens. A hub \
                  with one cursor for all topics carries any number of feeds over one connection.",
    file: "src/push/techniques/sse.rs",
    seconds: [4.0, 20.0],
    measure,
    judge,
};

fn at(limit: usize, how: &str) -> String {
    format!("{limit} connections, {how}")
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let wait = Duration::from_millis(lab.effort().pick(400, 2_000));
    for model in lab.models() {
        let server = lab.start(model)?;
        let mut x = 0.0;
        for limit in LIMITS {
            for how in [APART, SHARED] {
                let at = at(limit, how);
                lab.step(&format!("{at}, {model}"))?;
                let topics: Vec<String> = (0..FEEDS).map(|feed| format!("c11-{limit}-{feed}")).collect();
                let feed = |topics: &[String]| {
                    let wanted = topics.iter().map(|topic| format!("to {topic}!")).collect();
                    Fetch::Feed { target: format!("/topics/{}/events", topics.join(",")), wanted }
                };
                let mut fetches: Vec<Fetch> = if how == SHARED { vec![feed(&topics)] } else { topics.chunks(1).map(feed).collect() };
                fetches.push(Fetch::Page { target: "/plaintext".to_owned() });
                let publish = || browser::publish(server.address, &topics, |topic| format!("to {topic}!"));
                let outcomes = browser::load(server.address, limit, &fetches, wait, publish)?;
                let (control, feeds) = outcomes.split_last().ok_or("a page has requests")?;
                x += 1.0;
                findings.add(FEEDS_SERVED, model, &at, x, vec![feeds.iter().map(|feed| feed.arrived as f64).sum()]);
                findings.add(CONTROL, model, &at, x, vec![control.arrived as f64]);
            }
        }
    }
    Ok(findings)
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let models = findings.models();
    let figure = |quantity, limit, how| {
        let values = models.iter().map(|model| findings.median(quantity, model, &at(limit, how)));
        values.collect::<Option<Vec<f64>>>().filter(|values| !values.is_empty())
    };
    let all = |quantity, how, is_so: fn(f64) -> bool| {
        let values = LIMITS.map(|limit| figure(quantity, limit, how));
        values.into_iter().collect::<Option<Vec<_>>>().map(|values| values.into_iter().flatten().all(is_so))
    };
    let figures = (
        all(FEEDS_SERVED, APART, |feeds| feeds < FEEDS as f64),
        all(CONTROL, APART, |answers| answers < 1.0),
        all(FEEDS_SERVED, SHARED, |feeds| feeds >= FEEDS as f64),
        all(CONTROL, SHARED, |answers| answers >= 1.0),
    );
    let (Some(is_starved), Some(is_frozen), Some(is_served), Some(is_answered)) = figures else {
        return Ruling::missing("each limit and each way");
    };
    let verdict = if !is_frozen {
        Verdict::DoesNotHold
    } else if is_starved && is_served && is_answered {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let feeds = |how| {
        LIMITS
            .map(|limit| figure(FEEDS_SERVED, limit, how).map_or(0.0, |values| values.into_iter().fold(f64::INFINITY, f64::min)))
            .map(|feeds| format!("{feeds:.0}"))
            .join(" and ")
    };
    let control = if is_frozen { "is not answered" } else { "is answered" };
    Ruling::new(
        verdict,
        format!(
            "With 2 and 6 connections, {} of 7 feeds get their message, and the control request {control}; with one connection for all \
             feeds, {} do.",
            feeds(APART),
            feeds(SHARED)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(apart: [f64; 2], shared: [f64; 2]) -> Verdict {
        let mut findings = Findings::default();
        for limit in LIMITS {
            for (how, [feeds, control]) in [(APART, apart), (SHARED, shared)] {
                findings.add(FEEDS_SERVED, Model::EventLoop, &at(limit, how), 0.0, vec![feeds]);
                findings.add(CONTROL, Model::EventLoop, &at(limit, how), 0.0, vec![control]);
            }
        }
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([6.0, 0.0], [7.0, 1.0]), Verdict::Holds);
        assert_eq!(verdict([6.0, 1.0], [7.0, 1.0]), Verdict::DoesNotHold, "the page does not freeze");
        assert_eq!(verdict([6.0, 0.0], [6.0, 1.0]), Verdict::NotShown, "a message was lost on the shared stream");
        assert_eq!(verdict([6.0, 0.0], [7.0, 0.0]), Verdict::NotShown, "the server answers nothing");
        assert_eq!(verdict([7.0, 0.0], [7.0, 1.0]), Verdict::NotShown);
    }
}
