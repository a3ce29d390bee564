//! The smallest server, on either IO model. Try: `curl -i http://127.0.0.1:8080/hello`

#[path = "common/small.rs"]
mod small;

use pushlab::{Config, Method, Reply, Request, Response, Server};

const METHODS: &str = "GET, HEAD, OPTIONS";

fn app(request: &Request<'_>, reply: Reply<'_>) {
    reply.send(match (request.path(), request.method()) {
        ("/hello", Method::Get | Method::Head) => Response::text("hello\n"),
        ("/hello", Method::Options) => request.options(METHODS),
        ("/hello", _) => Response::method_not_allowed(METHODS),
        _ => Response::status(404),
    });
}

fn main() -> std::process::ExitCode {
    let program = small::Program { what: "The smallest server: it says hello at /hello.", takes_io: true };
    small::run(&program, |address, io| {
        let server = Server::bind(address, Config::default())?;
        small::say(&format!("listening on http://{}/hello", server.local_addr()))?;
        server.run(io, app)
    })
}
