//! The smallest server. Try: `curl -i http://127.0.0.1:8080/hello`

#[path = "common/small.rs"]
mod small;

use pushlab::{Config, IoModel, Reply, Request, Response, Server};

fn app(request: &Request<'_>, reply: Reply<'_>) {
    match request.path() {
        "/hello" => reply.send(Response::text("hello\n")),
        _ => reply.send(Response::status(404)),
    }
}

fn main() -> std::process::ExitCode {
    small::run("The smallest server: it says hello at /hello.", |address| {
        let server = Server::bind(address, Config::default())?;
        small::say(&format!("listening on http://{}/hello", server.local_addr()))?;
        server.run(IoModel::EventLoop, app)
    })
}
