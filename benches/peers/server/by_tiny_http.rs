//! `tiny_http`: it reads each connection in a thread of its own, and this thread answers.

use std::error::Error;

use tiny_http::{Request, Response, Server};

use super::polls::Polls;
use super::{BODY, HELLO, HOLD, announce, number};

pub(super) fn serve() -> Result<(), Box<dyn Error>> {
    let server = Server::http("127.0.0.1:0").map_err(|error| error as Box<dyn Error>)?;
    announce(server.server_addr().to_ip().ok_or("it does not listen on TCP")?);
    let polls = Polls::default();
    for request in server.incoming_requests() {
        let (path, query) = request.url().split_once('?').map_or((request.url(), None), |(path, query)| (path, Some(query)));
        match path {
            HELLO => answer(request),
            HOLD => {
                let number = number(query);
                polls.hold(request, number).into_iter().for_each(answer);
            }
            _ => drop(request.respond(Response::empty(404))),
        }
    }
    Ok(())
}

fn answer(request: Request) {
    // It fails if the client has left.
    let _ = request.respond(Response::from_string(BODY));
}
