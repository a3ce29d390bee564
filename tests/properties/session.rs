//! Sessions: operations of a driver and of other threads, in any order, on a connection with tiny limits and a handler that uses every
//! kind of reply.

mod app;
mod client;
mod world;

use std::time::Duration;

use pushlab::proto::Frame;
use pushlab::session::{Command, HalfClose, LastWord, Response, SlowConsumer};

use super::input::Input;
use world::{Kind, World};

/// Any operations, in any order that a driver can bring about.
pub(super) fn keeps_its_promises(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.byte();
    let policy = [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest][usize::from(how & 3) % 3];
    let half_close = if how & 8 == 0 { HalfClose::Leaves } else { HalfClose::Waits };
    let (is_layered, reports_end) = (how & 16 != 0, how & 32 != 0);
    let mut world = World::new(Kind { slow_consumer: policy, half_close, has_heartbeats: how & 4 != 0, is_layered, reports_end });
    while !input.is_empty() && !world.is_aborted() {
        step(&mut world, &mut input);
        world.check();
    }
    world.finish();
}

fn step(world: &mut World, input: &mut Input<'_>) {
    let what = input.byte();
    match what % 20 {
        0 => world.arrive(input.some_bytes()),
        1 | 2 => world.arrive(&client::request(input)),
        3 => world.arrive(&client::handshake(input)),
        4 | 5 => world.arrive(&client::frame(input)),
        6 | 7 => world.receive(usize::MAX),
        8 => world.receive(input.size()),
        9 => world.send(usize::MAX),
        10 => world.send(input.size()),
        11 => world.wait(Duration::from_millis(u64::from(input.byte()) * 40)),
        12 => world.wait_for_deadline(),
        13 => world.deliver(1 + input.below(4)),
        14 => {
            let frame = made_up_frame(input);
            world.push(input.size(), &frame);
        }
        15 => {
            let (which, code) = (input.size(), [1000, 1001, 1005, 4000, 0][input.below(5)]);
            match input.below(3) {
                0 => world.end_pusher(which, LastWord::new(code, "the end of all words")),
                1 => world.end_pusher(which, LastWord::new(code, "").come_back_after(Duration::from_secs(1))),
                _ => world.close_pusher(which, code),
            }
        }
        16 => {
            let response = made_up_response(input);
            world.release(input.size(), response);
        }
        17 => world.forget_handle(input.size()),
        18 => {
            let command = match input.below(4) {
                0 => Command::Send(made_up_frame(input)),
                1 => Command::Release(Some(made_up_response(input).into())),
                2 => Command::End(LastWord::new(4000, "too late").into()),
                _ => Command::Close(1000),
            };
            world.deliver_stale(command);
        }
        _ => match input.below(8) {
            0 => world.end_of_file(),
            1 => world.shut_down(),
            2 => world.close(),
            3 => world.refuse(),
            _ => world.exchange(),
        },
    }
}

fn made_up_frame(input: &mut Input<'_>) -> Frame {
    let payload = vec![b'p'; input.size() * [1, 1, 4, 11][input.below(4)]];
    match input.below(3) {
        0 => Frame::chunk(&payload),
        1 => Frame::text(&String::from_utf8_lossy(&payload)),
        _ => Frame::binary(&payload),
    }
}

fn made_up_response(input: &mut Input<'_>) -> Response {
    match input.below(5) {
        0 => Response::no_content(),
        1 => Response::text("late\n").field("X-Late", "yes"),
        2 => Response::text("x").field("Content-Length", "7"),
        3 => Response::new("application/octet-stream", vec![7; 3_000]),
        _ => Response::status(404),
    }
}
