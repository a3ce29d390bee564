//! Attacks on resources and on handlers: no descriptors, no threads, panics, blocking handlers, and
//! random bytes.
//!
//! Owns these attacks. Leaves the handlers that panic and block to `server`.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Arena, Late};
use crate::{Result, wire};

pub(crate) fn descriptors(arena: &Arena<'_>) -> Result<String> {
    let mut sockets: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        sockets.push(wire::connect(arena.target.address)?);
    }
    let (begun, before) = (Instant::now(), arena.target.figures()?.cpu);
    while arena.goes_on() {
        thread::sleep(Duration::from_millis(50));
    }
    let figures = arena.target.figures()?;
    let busy = figures.cpu.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    drop(sockets);
    if busy > 0.25 {
        return Err(format!("the server kept a processor {:.0} % busy while it could not accept", busy * 100.0).into());
    }
    // The server first accepts the connections that still wait in the kernel's queue and finds them
    // closed. This request waits for that.
    let answered = Instant::now();
    wire::get(arena.target.address, "/plaintext").map_err(|error| Late(format!("the server has not recovered: {error}")))?;
    Ok(format!(
        "300 connections for 128 descriptors; {:.0} % of a processor; recovered in {:.0} ms",
        busy * 100.0,
        answered.elapsed().as_secs_f64() * 1e3
    ))
}

pub(crate) fn threads(arena: &Arena<'_>) -> Result<String> {
    // A held request takes a thread. `Connection: close` gives it back with the answer: a connection
    // that stays open would keep it until its keep-alive timeout.
    let mut sockets = Vec::new();
    for _ in 0..64 {
        let mut socket = wire::connect(arena.target.address)?;
        socket.write_all(wire::last_request("/hold").as_bytes())?;
        sockets.push(socket);
    }
    let asked = Instant::now();
    let ordinary = wire::get(arena.target.address, "/plaintext");
    let waited = asked.elapsed();
    let most = arena.target.figures()?.threads;
    let (mut answered, mut refused) = (0, 0);
    for socket in sockets {
        match wire::read_answer(&mut BufReader::new(socket)) {
            Ok(answer) if answer.status == 204 => answered += 1,
            Ok(answer) if answer.status == 503 => refused += 1,
            Ok(answer) => return Err(format!("a held request was answered with {}", answer.status).into()),
            Err(error) => return Err(format!("a held request was not answered: {error}").into()),
        }
    }
    ordinary.map_err(|error| Late(format!("an ordinary request was not answered: {error}")))?;
    Ok(format!(
        "64 held requests: {answered} answered, {refused} refused with 503; an ordinary one waited {:.1} s; {most} threads",
        waited.as_secs_f64()
    ))
}

pub(crate) fn panics(arena: &Arena<'_>) -> Result<String> {
    let mut done = 0;
    while arena.goes_on() {
        let mut socket = wire::connect(arena.target.address)?;
        socket.write_all(wire::request("/panic").as_bytes())?;
        let answer = wire::read_answer(&mut BufReader::new(socket))?;
        if answer.status != 500 {
            return Err(format!("a panic was answered with {}", answer.status).into());
        }
        done += 1;
    }
    let counted = arena.target.counters()?["panics"].as_u64();
    if counted != Some(done) {
        return Err(format!("{done} panics, but {counted:?} were counted").into());
    }
    Ok(format!("{done} panics, each answered with 500"))
}

pub(crate) fn blocking(arena: &Arena<'_>) -> Result<String> {
    let mut reader = BufReader::new(wire::connect(arena.target.address)?);
    let mut done = 0;
    while arena.goes_on() {
        reader.get_mut().write_all(wire::request("/block").as_bytes())?;
        if wire::read_answer(&mut reader)?.status != 200 {
            return Err("a request that blocks was not answered with 200".into());
        }
        done += 1;
    }
    let meanwhile = if arena.model == pushlab::IoModel::EventLoop { "all connections wait for it" } else { "no other connection waits" };
    Ok(format!("{done} requests; {meanwhile}"))
}

pub(crate) fn garbage(arena: &Arena<'_>) -> Result<String> {
    let (mut random, mut done, mut answered) = (0x9E37_79B9_7F4A_7C15_u64, 0, 0);
    let mut draw = move || {
        // Marsaglia's xorshift64 with a fixed seed: each run sends the same bytes.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    while arena.goes_on() {
        let mut bytes = match draw() % 4 {
            0 => wire::upgrade("/echo").into_bytes(),
            1 => wire::upgrade("/topics/garbage/ws").into_bytes(),
            2 => b"POST /upload HTTP/1.1\r\nHost: abuse.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            _ => Vec::new(),
        };
        for _ in 0..draw() % 128 {
            bytes.extend(draw().to_le_bytes());
        }
        let mut socket = wire::connect(arena.target.address)?;
        // The server may close the connection before all bytes are sent.
        let _ = socket.write_all(&bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        answered += u64::from(!wire::read_to_end(&socket).is_empty());
        done += 1;
    }
    Ok(format!("{done} connections, {answered} of them answered"))
}
