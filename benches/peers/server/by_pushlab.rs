//! pushlab, with either IO model. Messages are published through its hub.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pushlab::push::{Hub, HubConfig, Mounted, Payload};
use pushlab::{Config, Held, IoModel, Limits, Message, Reply, Request, Response, Server, Settings, Socket, WebSocketHandler};

use super::polls::Polls;
use super::{BODY, ECHO, HELLO, HOLD, PAYLOAD, PUBLISH, announce, number};

pub(super) fn serve(model: IoModel) -> io::Result<()> {
    let limits = Limits { heartbeat: None, ..Limits::default() };
    // With a thread per connection, each of 2,000 idle event streams takes two.
    let config = Config { settings: Settings { limits, ..Settings::default() }, max_threads: 8_192, ..Config::default() };
    let server = Server::bind("127.0.0.1:0", config)?;
    announce(server.local_addr());
    // By default, an event stream ends after 1 MiB, and its client comes back.
    let hub = Hub::new(HubConfig { stream_bytes: usize::MAX, ..HubConfig::default() });
    let app = App { hub, polls: Polls::default() };
    server.run(model, move |request: &Request<'_>, reply: Reply<'_>| app.serve(request, reply))
}

struct App {
    hub: Hub,
    polls: Polls<Held>,
}

impl App {
    fn serve(&self, request: &Request<'_>, reply: Reply<'_>) {
        match request.path() {
            HELLO => reply.send(Response::text(BODY)),
            HOLD => {
                let held = reply.hold(Duration::MAX, Response::no_content());
                let all = self.polls.hold(held, number(request.query()));
                if !all.is_empty() {
                    let answer = Arc::new(Response::text(BODY));
                    Held::release_all(all.into_iter().map(|held| (held, Arc::clone(&answer))));
                }
            }
            ECHO => reply.upgrade(Echo),
            PUBLISH => {
                let all = (0..number(request.query())).all(|_| self.hub.publish("ticks", Payload::text(PAYLOAD)).is_ok());
                reply.send(if all { Response::text(BODY) } else { Response::status(500) });
            }
            _ => {
                if let Mounted::NotMine(reply) = self.hub.handle(request, reply) {
                    reply.send(Response::status(404));
                }
            }
        }
    }
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}
