// An expression that runs the server of an example in the documentation, which includes this file: a
// function of a handler and of targets. What is included cannot begin with an inner comment.
{
    /// Serves each target once on both IO models, and takes each answer to its end.
    fn serve_once(app: impl pushlab::Handler + Clone, targets: &[&str]) {
        use std::io::{Read, Write};
        for model in pushlab::IoModel::ALL {
            let server = pushlab::Server::bind("127.0.0.1:0", pushlab::Config::default()).expect("a port is free");
            let (address, stopper, app) = (server.local_addr(), server.stopper(), app.clone());
            let running = std::thread::spawn(move || server.run(model, app));
            for target in targets {
                let mut client = std::net::TcpStream::connect(address).expect("the server listens");
                client.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("the time is not zero");
                write!(client, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("the server reads");
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{model}: the answer to {target} has no end: {error}"));
                assert!(answer.starts_with(b"HTTP/1.1 "), "{model}: {target} is not answered");
            }
            stopper.stop();
            running.join().expect("the server does not panic").expect("the server ends without an error");
        }
    }
    serve_once
}
