//! C25: what TLS and compression cost.

use super::agreement::{Agreement, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::certificate::Certificate;
use crate::lab::model::Model;
use crate::lab::nginx::{HOW_TO_GET, TlsNginx};
use crate::lab::proc;
use crate::lab::process::{ServerProcess, Usage, usage_of};
use crate::lab::samples::{median, short};
use crate::lab::sockets::{Access, Sockets};
use crate::server::Setup;

const IDLE: Quantity = Quantity { name: "user memory per idle connection", unit: "KiB" };
const AFTER: Quantity = Quantity { name: "user memory per connection, after messages", unit: "KiB" };
const OPEN: Quantity = Quantity { name: "server CPU to open a connection", unit: "µs" };
const CPU: Quantity = Quantity { name: "server CPU per delivery", unit: "µs" };
const BYTES: Quantity = Quantity { name: "bytes of TCP per delivery", unit: "B" };

const MODELS: [Model; 2] = [Model::EventLoop, Model::Threads];
const PLAIN: &str = "plain";
const TLS: &str = "TLS";
const DEFLATE: &str = "deflate";
const NGINX: &str = "nginx with TLS in front";

/// The figures of the source.
const CPU_SHARE: f64 = 0.01;
const MEMORY_KB: f64 = 10.0;
/// About as long as the state of a page, in JSON.
const PAYLOAD_BYTES: usize = 2_000;
/// The connections before the counted ones. They use up memory that the server has already.
const CUSHION: usize = 10;

pub(crate) const CLAIM: Claim = Claim {
    id: "C25",
    sentence: "TLS costs less than 1 % of the CPU and less than 10 KB of memory per connection.",
    source: "Adam Langley, \"Overclocking SSL\" (2010), about Gmail's servers: \"SSL/TLS accounts for less than 1% of the CPU load, less than 10 KB \
             of memory per connection and less than 2% of network overhead\".",
    setup: "100 WebSockets (quick) or 1,000 (full) subscribe to a topic, which then gets 10 messages (quick) or 40 (full) of 2,000 bytes of JSON, one \
            after the other: plain, with the server's TLS 1.3, with permessage-deflate, and through an nginx that terminates TLS in front of a \
            plain server. Each round starts new servers. Each handshake is a whole one, with a key on the curve P-256.",
    measured: "User memory per connection, idle and after the messages; server CPU to open a connection and per delivery; bytes of TCP per \
               delivery. Memory and CPU of nginx count with those of its server.",
    rule: "It holds if, in at least 4 of 5 rounds, on both models, TLS adds less than 1 % to the server's CPU per delivery and less than 10,000 \
           bytes to the memory of an idle connection. It does not hold if one of the two is not so in at least 4 of 5 rounds, on either model. Otherwise \
           nothing is shown. Deflate and nginx decide nothing.",
    needs: &MODELS,
    takes: &[],
    is_timed: true,
    chart: Chart::bars(CPU, "way"),
    explanation: "The servers of the source did much work for each request, so that TLS was a small part of it. A push server does little for a \
                  delivery beside the system call, and a record must be encrypted for each connection with its own key. Deflate compresses a message once for \
                  all subscribers. rustls keeps about 1 KiB of keys and state for a connection, and some buffers of its own; with threads, \
                  encryption also needs more of two stacks. A proxy reads and writes each message once more.",
    file: "src/driver/tls/secured.rs",
    seconds: [2.5, 45.0],
    measure,
    judge,
};

/// One way from the server to its clients.
#[derive(Clone, Copy)]
struct Way {
    model: Model,
    name: &'static str,
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let certificate = Certificate::generate()?;
    let ways = [PLAIN, TLS, DEFLATE, NGINX].into_iter().flat_map(|name| MODELS.map(|model| Way { model, name }));
    let mut ways: Vec<Way> = ways.collect();
    let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut ways, |lab, way, round| {
        lab.step(&format!("{}, {}, round {}", way.name, way.model, round + 1))?;
        measure_way(lab, *way, &certificate).map_err(|error| format!("{}, {}: {error}", way.name, way.model).into())
    })?;
    for (x, (way, rounds)) in ways.iter().zip(rounds).enumerate() {
        let rounds: Vec<_> = rounds.into_iter().flatten().collect();
        findings.add_rounds(way.model, way.name, (x / MODELS.len()) as f64, &rounds);
    }
    if findings.rounds(CPU, Model::EventLoop, NGINX).is_empty() {
        findings.notes.push(format!("{HOW_TO_GET}. The claim is decided without it."));
    }
    Ok(findings)
}

/// `None` if the way needs an nginx that is not installed.
fn measure_way(lab: &Lab<'_>, way: Way, certificate: &Certificate) -> Result<Option<[(Quantity, f64); 5]>> {
    let mut setup = Setup { deflate: way.name == DEFLATE, ..lab.setup(way.model) };
    if way.name == TLS {
        setup.certificate = Some((certificate.chain(), certificate.key()));
    }
    let server = lab.start_with(&setup)?;
    let nginx = if way.name == NGINX { TlsNginx::start(server.address, certificate)? } else { None };
    if way.name == NGINX && nginx.is_none() {
        return Ok(None);
    }
    let tls = if matches!(way.name, TLS | NGINX) { Some(certificate.clients()?) } else { None };
    let address = nginx.as_ref().map_or(server.address, |nginx| nginx.address);
    let count = lab.effort().pick(100, 1_000).min((lab.connections_max() - CUSHION) / 2);
    let messages = lab.effort().pick(10, 40);

    let mut sockets = Sockets::new(Access { address, tls, deflate: setup.deflate });
    sockets.grow(CUSHION)?;
    let base = Seen::now(&server, nginx.as_ref());
    sockets.grow(CUSHION + count)?;
    let opened = Seen::now(&server, nginx.as_ref());
    // The first messages touch buffers and stacks for the first time.
    sockets.deliver(&text(), 2)?;
    let before = Seen::now(&server, nginx.as_ref());
    let bytes = sockets.deliver(&text(), messages)?;
    let after = Seen::now(&server, nginx.as_ref());
    let deliveries = (messages * (CUSHION + count)) as f64;
    Ok(Some([
        (IDLE, base.memory_until(&opened) / count as f64 / 1024.0),
        (AFTER, base.memory_until(&after) / count as f64 / 1024.0),
        (OPEN, base.cpu_until(&opened) * 1e6 / count as f64),
        (CPU, before.cpu_until(&after) * 1e6 / deliveries),
        (BYTES, bytes),
    ]))
}

/// JSON with numbers that differ, as a list of quotes has.
fn text() -> String {
    let mut text = String::from("[");
    for at in 0_u32.. {
        // A step of a linear congruential generator (Knuth, MMIX): the digits follow no pattern.
        let number = u64::from(at).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 44;
        let entry = format!("{{\"symbol\":\"S{at:03}\",\"price\":{}.{:02},\"volume\":{number}}},", number / 100, number % 100);
        if text.len() + entry.len() > PAYLOAD_BYTES {
            break;
        }
        text.push_str(&entry);
    }
    text.pop();
    text.push(']');
    text
}

/// The sums of a server, and of the nginx in front of it.
struct Seen {
    memory: Option<u64>,
    usages: Vec<Usage>,
}

impl Seen {
    fn now(server: &ServerProcess, nginx: Option<&TlsNginx>) -> Self {
        let (nginx, server_memory) = (nginx.map(TlsNginx::id), server.memory().map(|memory| memory.private_dirty));
        let memory = match nginx {
            None => server_memory,
            Some(id) => server_memory.zip(proc::private_dirty_bytes(id)).map(|(server, nginx)| server + nginx),
        };
        Self { memory, usages: [server.usage()].into_iter().chain(nginx.map(usage_of)).collect() }
    }

    /// In bytes. NaN where the system does not tell.
    fn memory_until(&self, later: &Self) -> f64 {
        self.memory.zip(later.memory).map_or(f64::NAN, |(before, after)| after as f64 - before as f64)
    }

    /// In seconds.
    fn cpu_until(&self, later: &Self) -> f64 {
        self.usages.iter().zip(&later.usages).map(|(before, after)| before.until(*after).cpu_seconds).sum()
    }
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    let mut conditions = Vec::new();
    let (mut shares, mut added) = (Vec::new(), Vec::new());
    for model in MODELS {
        let pairs = |quantity| {
            let [tls, plain] = [TLS, PLAIN].map(|way| findings.rounds(quantity, model, way));
            tls.iter().copied().zip(plain.iter().copied())
        };
        let share: Vec<f64> = pairs(CPU).map(|(tls, plain)| tls / plain - 1.0).collect();
        let kb: Vec<f64> = pairs(IDLE).map(|(tls, plain)| (tls - plain) * 1.024).collect();
        if share.is_empty() || !kb.iter().chain(&share).all(|value| value.is_finite()) {
            return Ruling::missing("the CPU and the memory with TLS and without it, on both models");
        }
        // A share that the noise could have made is on neither side.
        let room = noise.cpu - 1.0;
        conditions.push(match Agreement::of(&share, |share| share < CPU_SHARE) {
            Agreement::False if Agreement::of(&share, |share| share < CPU_SHARE + room) != Agreement::False => Agreement::Split,
            other => other,
        });
        conditions.push(Agreement::of(&kb, |kb| kb < MEMORY_KB));
        shares.push(median(&share) * 100.0);
        added.push(median(&kb));
    }
    let because = format!(
        "On the event loop, TLS adds {} % to the CPU of a delivery and {} KB to an idle connection; on threads, {} % and {} KB.{}",
        short(shares[0]),
        short(added[0]),
        short(shares[1]),
        short(added[1]),
        beside(findings)
    );
    Ruling::new(verdict(conditions), because).beside(
        "Gmail: less than 1 % of the CPU, less than 10 KB per connection",
        format!("{} % and {} KB on the event loop", short(shares[0]), short(added[0])),
    )
}

/// Sentences about deflate and nginx on the event loop, as far as they were measured.
fn beside(findings: &Findings) -> String {
    let of = |quantity, way| findings.median(quantity, Model::EventLoop, way);
    let ratio = |quantity, a, b| Some(short(of(quantity, a)? / of(quantity, b)?));
    let deflate = || {
        let (few, many) = (short(of(BYTES, DEFLATE)?), short(of(BYTES, PLAIN)?));
        Some(format!(" Deflate sends {few} instead of {many} bytes for {} times the CPU.", ratio(CPU, DEFLATE, PLAIN)?))
    };
    let nginx = || {
        let (cpu, memory) = (ratio(CPU, NGINX, TLS)?, ratio(IDLE, NGINX, TLS)?);
        Some(format!(" nginx in front costs {cpu} times the CPU of the server's own TLS, and {memory} times its memory."))
    };
    [deflate().unwrap_or_default(), nginx().unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// What the event loop uses with TLS, where all else uses 10 µs and 2 KiB.
    fn verdict(cpu: [f64; 2], memory: f64) -> Verdict {
        let mut findings = Findings::default();
        for model in MODELS {
            for way in [PLAIN, TLS] {
                let is_this = model == Model::EventLoop && way == TLS;
                let (cpu, memory) = if is_this { (cpu, memory) } else { ([10.0; 2], 2.0) };
                findings.add(CPU, model, way, 0.0, cpu.to_vec());
                findings.add(IDLE, model, way, 0.0, vec![memory; 2]);
            }
        }
        judge(&findings, &Noise { cpu: 1.02, ..Noise::NONE }).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([10.05, 10.09], 11.0), Verdict::Holds);
        assert_eq!(verdict([10.05, 11.0], 2.0), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([10.2, 10.2], 2.0), Verdict::NotShown, "the noise could have made it");
        assert_eq!(verdict([11.0, 12.0], 2.0), Verdict::DoesNotHold, "the CPU");
        assert_eq!(verdict([10.0, 10.0], 13.0), Verdict::DoesNotHold, "the memory");
    }

    #[test]
    fn the_text_is_about_as_long_as_it_says() {
        let text = text();
        assert!((PAYLOAD_BYTES - 60..=PAYLOAD_BYTES).contains(&text.len()), "{}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().as_array().unwrap().len() > 30);
    }

    /// Each way delivers each message, on both models, and deflate sends fewer bytes.
    #[test]
    fn each_way_delivers() {
        let certificate = Certificate::generate().unwrap();
        for model in MODELS {
            let bytes = [PLAIN, TLS, DEFLATE].map(|way| {
                let mut setup = Setup { deflate: way == DEFLATE, ..Setup::new(model) };
                setup.certificate = (way == TLS).then(|| (certificate.chain(), certificate.key()));
                let tls = (way == TLS).then(|| certificate.clients().unwrap());
                let address = crate::server::start_here(&setup).unwrap();
                let mut sockets = Sockets::new(Access { address, tls, deflate: setup.deflate });
                sockets.grow(3).unwrap();
                sockets.deliver(&text(), 2).unwrap()
            });
            assert!(bytes[0] < bytes[1] && bytes[2] * 2.0 < bytes[0], "{model}: {bytes:?}");
        }
    }
}
