//! A socket that outlives its server: the next server serves on it with the other IO model.

use std::net::TcpListener;

use pushlab::push::{Hub, HubConfig, Payload};

use super::{Client, IoModel, Lab, both_plain};

const fn other(model: IoModel) -> IoModel {
    match model {
        IoModel::EventLoop => IoModel::ThreadPerConnection,
        IoModel::ThreadPerConnection => IoModel::EventLoop,
    }
}

fn serve(listener: &TcpListener, hub: &Hub, model: IoModel) -> Lab {
    Lab::with_hub_on(listener.try_clone().unwrap(), hub.clone(), model)
}

fn publish(hub: &Hub, text: &str) -> String {
    hub.publish("news", Payload::text(text)).unwrap().id.to_string()
}

both_plain! {
    /// A stream gets a last word, and its client resumes at the next server without a gap. A client that connects while no server runs
    /// waits in the backlog.
    fn cursors_outlive_a_server(model) {
        let (listener, hub) = (TcpListener::bind("127.0.0.1:0").unwrap(), Hub::new(HubConfig::default()));
        let mut model = model;
        let mut lab = serve(&listener, &hub, model);
        for _ in 0..3 {
            let mut events = lab.connect();
            events.get("/topics/news/events");
            assert_eq!(events.answer_head().status, 200);
            let cursor = publish(&hub, "before");
            let seen = events.take_until(b"before\n\n");
            assert!(String::from_utf8_lossy(&seen).contains(&cursor));
            lab.stopper.stop();
            let last_word = events.take_to_end();
            assert!(String::from_utf8_lossy(&last_word).contains("retry: "), "{}", String::from_utf8_lossy(&last_word));
            lab.join();

            let mut waiting = Client::connect(listener.local_addr().unwrap());
            waiting.get(&format!("/topics/news/poll?after={cursor}"));
            publish(&hub, "between");
            model = other(model);
            lab = serve(&listener, &hub, model);
            let answer = waiting.answer();
            assert!(answer.text().contains("\"between\"") && answer.text().contains("\"gap\":false"), "{}", answer.text());
            assert!(!answer.text().contains("\"before\""), "a message came twice: {}", answer.text());
        }
    }
}
