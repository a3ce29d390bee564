//! C12: a proxy between the server and the client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::browser::{publish, read_until, wait_for_subscribers};
use crate::lab::model::Model;
use crate::lab::nginx::{HOW_TO_GET, Nginx};
use crate::lab::samples::{median, short};
use crate::lab::wire;

const FIRST: Quantity = Quantity { name: "time to the first message", unit: "ms" };
const ARRIVED: Quantity = Quantity { name: "streams whose message arrived within the wait", unit: "" };

const DIRECT: &str = "no proxy";
const ASKED: &str = "nginx, asked not to buffer";
const BUFFERING: &str = "nginx, not asked";
const CHUNKED: &str = "nginx, not asked, HTTP/1.1";

pub(crate) const CLAIM: Claim = Claim {
    id: "C12",
    sentence: "Intermediaries buffer streams, so that a message waits in a proxy until more bytes follow.",
    source: "RFC 6202 (2011), section 3.2, on network intermediaries. nginx's documentation of `proxy_buffering`, which is on by default.",
    setup: "An event stream directly, and through a real nginx with its default settings: once it obeys the response field \
            X-Accel-Buffering: no, which pushlab sends, and once it ignores the field, as if the server had not asked. By default, nginx \
            speaks HTTP/1.0 to the server; a last way uses HTTP/1.1. One message of 20 bytes is published.",
    measured: "The time from publishing to the message's arrival at the client, at most 0.5 s (quick) or 3 s (full).",
    rule: "It holds if, in every round, the message does not arrive within the wait through the nginx that is not asked, and does arrive through \
           the nginx that is asked not to buffer. It does not hold if it arrives through the nginx that is not asked in every round. Otherwise \
           nothing is shown. The way with HTTP/1.1 is shown beside it and decides nothing.",
    needs: &[Model::EventLoop],
    takes: &[Model::Threads],
    is_timed: false,
    chart: Chart::bars(FIRST, "way"),
    explanation: "nginx collects the bytes of an answer of unknown length in buffers of 4 or 8 KiB and passes them on when a buffer is full, or \
                  when the answer ends. A stream does not end. So each stream of pushlab says that it must not be buffered. A chunked answer \
                  says where its pieces end, and nginx passes them on.",
    file: "src/session/response.rs",
    seconds: [2.5, 20.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let wait = Duration::from_millis(lab.effort().pick(400, 3_000));
    for model in lab.models() {
        let server = lab.start(model)?;
        let Some(nginx) = Nginx::start(server.address)? else {
            findings.obstacles.push(format!("{HOW_TO_GET}."));
            return Ok(findings);
        };
        let mut ways = [(DIRECT, server.address), (ASKED, nginx.usual), (BUFFERING, nginx.buffering), (CHUNKED, nginx.chunked)];
        let rounds = lab.in_turn(lab.effort().pick(2, 3), &mut ways, |lab, (way, address), round| {
            lab.step(&format!("{way}, {model}, round {}", round + 1))?;
            // A subscriber of an earlier round may still be connected through nginx. So each round has
            // a topic of its own.
            let topic = format!("c12-{}-{round}", address.port());
            first_message(*address, server.address, topic, wait)
        })?;
        for (x, ((way, _), rounds)) in ways.iter().zip(rounds).enumerate() {
            let ms = |time: &Option<Duration>| time.unwrap_or(wait).as_secs_f64() * 1e3;
            findings.add(FIRST, model, way, x as f64, rounds.iter().map(ms).collect());
            findings.add(ARRIVED, model, way, x as f64, rounds.iter().map(|time| f64::from(u8::from(time.is_some()))).collect());
        }
    }
    findings.notes.push(format!("A message that did not arrive counts as {} ms.", wait.as_millis()));
    Ok(findings)
}

/// Subscribes at `address`, publishes at `server`, and waits for the message.
fn first_message(address: SocketAddr, server: SocketAddr, topic: String, wait: Duration) -> Result<Option<Duration>> {
    let mut socket = wire::connect(address)?;
    std::io::Write::write_all(&mut socket, &wire::get(&format!("/topics/{topic}/events"), ""))?;
    // The head itself may be held back, so the server is asked whether it has the subscriber.
    wait_for_subscribers(server, &topic, 1)?;
    let begin = Instant::now();
    publish(server, &[topic], |_| "a message, 20 bytes.".to_owned())?;
    let mut bytes = Vec::new();
    while read_until(&mut socket, &mut bytes, begin + wait)? {
        if String::from_utf8_lossy(&bytes).contains("a message, 20 bytes.") {
            return Ok(Some(begin.elapsed()));
        }
    }
    Ok(None)
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let models = findings.models();
    let arrived = |way: &str| models.iter().flat_map(|model| findings.rounds(ARRIVED, model, way)).copied().collect::<Vec<f64>>();
    let (asked, buffering, chunked) = (arrived(ASKED), arrived(BUFFERING), arrived(CHUNKED));
    if asked.is_empty() || buffering.is_empty() {
        return Ruling::missing("nginx in front of the server");
    }
    let verdict = if buffering.iter().all(|arrived| *arrived < 1.0) && asked.iter().all(|arrived| *arrived >= 1.0) {
        Verdict::Holds
    } else if buffering.iter().all(|arrived| *arrived >= 1.0) {
        Verdict::DoesNotHold
    } else {
        Verdict::NotShown
    };
    let through = models.iter().flat_map(|model| findings.rounds(FIRST, model, ASKED)).copied().collect::<Vec<f64>>();
    let lost = buffering.iter().filter(|arrived| **arrived < 1.0).count();
    Ruling::new(
        verdict,
        format!(
            "Through an nginx that is not asked, {lost} of {} messages did not arrive in time (over HTTP/1.1: {} of {}). Through one that is \
             asked not to buffer, a message takes {} ms.",
            buffering.len(),
            chunked.iter().filter(|arrived| **arrived < 1.0).count(),
            chunked.len(),
            short(median(&through))
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |asked: [f64; 2], buffering: [f64; 2]| {
            let mut findings = Findings::default();
            findings.add(ARRIVED, Model::EventLoop, ASKED, 0.0, asked.to_vec());
            findings.add(ARRIVED, Model::EventLoop, BUFFERING, 0.0, buffering.to_vec());
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([1.0, 1.0], [0.0, 0.0]), Verdict::Holds);
        assert_eq!(verdict([1.0, 1.0], [1.0, 1.0]), Verdict::DoesNotHold);
        assert_eq!(verdict([1.0, 1.0], [0.0, 1.0]), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([1.0, 0.0], [0.0, 0.0]), Verdict::NotShown, "nothing came at all");
    }
}
