//! The smallest server. Try: `curl -i http://127.0.0.1:8080/hello`

use pushlab::{Config, IoModel, Reply, Request, Response, Server};

fn app(request: &Request<'_>, reply: Reply<'_>) {
    match request.path() {
        "/hello" => reply.send(Response::text("hello\n")),
        _ => reply.send(Response::status(404)),
    }
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::bind(address, Config::default())?;
    println!("listening on http://{}/hello", server.local_addr());
    server.run(IoModel::EventLoop, app)
}
