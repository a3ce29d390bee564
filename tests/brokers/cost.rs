//! What a shared log costs beside the memory of one server: latency and throughput of a publish.
//!
//! Owns the load and its figures. They are printed and decide nothing, because a test cannot know
//! what else the machine does. The three servers take turns in each round, so that the ratios of one
//! run can be compared. Leaves brokers and servers to `support`.

use std::thread;
use std::time::Instant;

use super::support::activemq::ActiveMq;
use super::support::demo::Demo;
use super::support::http::Connection;
use super::support::rabbitmq::RabbitMq;
use super::support::report::Report;

const TOPIC: &str = "cost";
const ROUNDS: usize = 5;
/// Publishes of one round, one after the other on one connection.
const ALONE: usize = 300;
const CONNECTIONS: usize = 32;
/// Publishes of one round on each of the connections.
const EACH: usize = 60;
const MESSAGE_BYTES: usize = 100;

/// The figures of one server, one for each round.
#[derive(Default)]
struct Figures {
    median_us: Vec<f64>,
    per_second: Vec<f64>,
}

#[test]
fn a_publish_by_each_log() {
    let mut report = Report::new("cost: POST of 100 bytes, answered when the message is confirmed");
    let (rabbitmq, activemq) = (RabbitMq::start("cost"), ActiveMq::start("cost"));
    let [stream]: [Demo; 1] = Demo::start_all("cost-stream", &rabbitmq.stream());
    let [topic]: [Demo; 1] = Demo::start_all("cost-topic", &activemq.topic());
    let memory = Demo::begin_alone("cost-memory", "event-loop").finish();
    report.phase("start");
    let servers = [("memory of one server", &memory), ("stream of RabbitMQ", &stream), ("topic of ActiveMQ", &topic)];
    let mut figures = [(); 3].map(|()| Figures::default());
    for _ in 0..ROUNDS {
        for ((_, demo), figures) in servers.iter().zip(&mut figures) {
            figures.median_us.push(one_after_the_other(demo));
            figures.per_second.push(side_by_side(demo));
        }
    }
    report.phase("rounds");
    let medians = figures.map(|figures| (median(figures.median_us), median(figures.per_second)));
    for ((name, _), (latency, rate)) in servers.iter().zip(medians) {
        report.figure(&format!("{name}: median latency, one at a time"), format!("{latency:.0} us, {:.1} times", latency / medians[0].0));
        report.figure(&format!("{name}: {CONNECTIONS} connections"), format!("{rate:.0} per second, {:.2} times", rate / medians[0].1));
    }
    report.print();
}

/// Publishes on one connection. Returns the median of the latencies in microseconds.
fn one_after_the_other(demo: &Demo) -> f64 {
    let mut connection = Connection::open(demo.address).unwrap();
    let latencies = (0..ALONE).map(|_| {
        let sent = Instant::now();
        publish(&mut connection);
        sent.elapsed().as_secs_f64() * 1e6
    });
    median(latencies.collect())
}

/// Publishes on many connections at once. Returns the publishes of a second.
fn side_by_side(demo: &Demo) -> f64 {
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::open(demo.address).unwrap()).collect();
    let begun = Instant::now();
    thread::scope(|scope| {
        for connection in &mut connections {
            scope.spawn(move || (0..EACH).for_each(|_| publish(connection)));
        }
    });
    let published = u32::try_from(CONNECTIONS * EACH).unwrap();
    f64::from(published) / begun.elapsed().as_secs_f64()
}

fn publish(connection: &mut Connection) {
    let answer = connection.post(TOPIC, &"x".repeat(MESSAGE_BYTES)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
