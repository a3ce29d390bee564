//! Benchmarks of HTTP/1.1: heads, responses and chunked coding.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use criterion::{BatchSize, Criterion, Throughput};
use pushlab::proto::http1::{BodySize, ChunkedDecoder, ChunkedEvent, Conn, Head, ResponseHead};
use pushlab::proto::{Now, Outbox, ProtocolLimits};

const SMALL: &[u8] = b"GET /hello HTTP/1.1\r\nHost: example.org\r\n\r\n";

/// The request of a browser, 750 bytes.
const BROWSER: &[u8] = b"GET /events?topic=ticks&last=7f3a-104711 HTTP/1.1\r\nHost: push.example.org:8080\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
    image/webp,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: http://push.example.org:8080/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";

pub(super) fn bench(criterion: &mut Criterion) {
    heads(criterion);
    exchanges(criterion);
    responses(criterion);
    chunks(criterion);
}

fn now() -> Now {
    Now::new(Instant::now(), SystemTime::UNIX_EPOCH)
}

/// Parses and validates heads. A second group measures `httparse` alone, which does the parsing.
fn heads(criterion: &mut Criterion) {
    let limits = ProtocolLimits::default();
    for (group, parse) in [("proto/http1/head", true), ("proto/http1/head_httparse_alone", false)] {
        let mut group = criterion.benchmark_group(group);
        for (name, raw) in [("small", SMALL), ("browser", BROWSER)] {
            group.throughput(Throughput::Bytes(raw.len() as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    if parse {
                        let head = Head::parse(black_box(raw), &limits).expect("a head in order");
                        black_box(&head);
                    } else {
                        let mut fields = [httparse::EMPTY_HEADER; 32];
                        let mut request = httparse::Request::new(&mut fields);
                        black_box(request.parse(black_box(raw))).expect("a head in order");
                    }
                });
            });
        }
        group.finish();
    }
}

/// Reads a request and sends a small response, on a connection that is kept open.
fn exchanges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proto/http1/exchange");
    let (now, limits) = (now(), ProtocolLimits::default());
    for (name, raw) in [("small", SMALL), ("browser", BROWSER)] {
        let (mut conn, mut out) = (Conn::new(now.instant(), &limits), Outbox::new());
        group.throughput(Throughput::Bytes(raw.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let next = conn.next_event(now.instant(), black_box(raw), &mut out, &limits);
                black_box(&next.expect("a request in order"));
                conn.send_response(&now, &ResponseHead::new(200, "text/plain"), b"hello\n", &mut out).expect("a response is owed");
                out.clear();
            });
        });
    }
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proto/http1/response");
    let (now, limits) = (now(), ProtocolLimits::default());
    let head = ResponseHead { fields: b"Cache-Control: no-store\r\n", ..ResponseHead::new(200, "text/plain; charset=utf-8") };
    for (name, body) in [("13_bytes", vec![b'x'; 13]), ("4_kib", vec![b'x'; 4096])].map(|(name, body)| (name, Arc::<[u8]>::from(body))) {
        let mut out = Outbox::new();
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || {
                    let mut conn = Conn::new(now.instant(), &limits);
                    conn.next_event(now.instant(), SMALL, &mut Outbox::new(), &limits).expect("a request in order");
                    conn
                },
                |conn| {
                    conn.send_response(&now, &head, Arc::clone(black_box(&body)), &mut out).expect("a response is owed");
                    out.clear();
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let (now, limits) = (now(), ProtocolLimits::default());
    let mut group = criterion.benchmark_group("proto/http1/chunk_encode");
    for (name, len) in [("16_bytes", 16), ("1_kib", 1024)] {
        let (mut conn, mut out, payload) = (Conn::new(now.instant(), &limits), Outbox::new(), vec![b'x'; len]);
        conn.next_event(now.instant(), SMALL, &mut out, &limits).expect("a request in order");
        conn.send_head(&now, &ResponseHead::new(200, "text/plain"), BodySize::Stream, &mut out).expect("a response is owed");
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                conn.send_body(black_box(&payload), &mut out).expect("the stream is live");
                out.clear();
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("proto/http1/chunk_decode");
    for (name, len, count) in [("64_of_16_bytes", 16, 64), ("64_of_1_kib", 1024, 64)] {
        let chunk = [format!("{len:x}\r\n").as_bytes(), &vec![b'x'; len], b"\r\n"].concat();
        let wire = [&chunk.repeat(count)[..], b"0\r\n\r\n"].concat();
        group.throughput(Throughput::Bytes((len * count) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (mut decoder, mut rest) = (ChunkedDecoder::new(), black_box(&wire[..]));
                loop {
                    let (used, event) = decoder.next(rest, &limits).expect("chunks in order");
                    rest = &rest[used..];
                    match event {
                        ChunkedEvent::Data(bytes) => _ = black_box(bytes),
                        ChunkedEvent::End => break,
                        ChunkedEvent::NeedData => unreachable!("the body is whole"),
                    }
                }
            });
        });
    }
    group.finish();
}
