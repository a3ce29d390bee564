//! A `RabbitMQ` with streams over STOMP, for one test.
//!
//! Owns its configuration, and starting, stopping and killing it. It has a node name, an `epmd` and
//! ports of its own, so that it meets no other broker of the machine. Leaves processes to
//! `processes`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::processes::{Folder, Process, free_ports, listens};

/// Debian's script for this path switches the user, and the one below does not.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const START_TIME: Duration = Duration::from_secs(180);
const STOP_TIME: Duration = Duration::from_secs(120);
/// Erlang makes a table for as many descriptors as it may open, and many systems allow a million.
const DESCRIPTORS: u32 = 20_000;

pub(crate) struct RabbitMq {
    server: Option<Process>,
    amqp_port: u16,
    stomp_port: u16,
    distribution_port: u16,
    mapper_port: u16,
    name: String,
    folder: Folder,
    /// The Erlang port mapper. It is the last one to end.
    _mapper: Process,
}

impl RabbitMq {
    /// Starts a broker without any data.
    pub(crate) fn start(test: &str) -> Self {
        let folder = Folder::new(test);
        let [amqp_port, stomp_port, distribution_port, mapper_port] = free_ports();
        folder.make("home");
        let listeners = format!("listeners.tcp.1 = 127.0.0.1:{amqp_port}\nstomp.listeners.tcp.1 = 127.0.0.1:{stomp_port}\n");
        folder.write("rabbitmq.conf", &listeners);
        folder.write("enabled_plugins", "[rabbitmq_stomp].\n");
        let mut mapper = Command::new("epmd");
        mapper.args(["-address", "127.0.0.1", "-port", &mapper_port.to_string()]);
        let mut mapper = Process::start("epmd", folder.path(), &mut mapper);
        mapper.wait_until("listening", START_TIME, || listens(mapper_port));
        let name = format!("pushlab-{test}-{}@localhost", std::process::id());
        let mut broker = Self { server: None, amqp_port, stomp_port, distribution_port, mapper_port, name, folder, _mapper: mapper };
        broker.start_again();
        broker
    }

    /// The address of a stream of this broker.
    pub(crate) fn stream(&self) -> String {
        format!("stomp+stream://guest:guest@127.0.0.1:{}/hub", self.stomp_port)
    }

    /// Starts the broker with the data that it has. It accepts connections then, and refuses streams
    /// for some seconds more.
    pub(crate) fn start_again(&mut self) {
        let folder = self.folder.path();
        let path = |name: &str| folder.join(name);
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec {SERVER}")])
            .current_dir(folder)
            // The script then becomes the server, so that the pid is that of the server.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env("HOME", path("home"))
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_MNESIA_BASE", path("db"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1");
        let mut server = Process::start("rabbitmq", folder, &mut command);
        // The plug-in for STOMP listens last.
        let ports = [self.amqp_port, self.stomp_port];
        server.wait_until("listening", START_TIME, || ports.iter().try_for_each(|port| listens(*port)));
        self.server = Some(server);
    }

    /// Stops the broker, as an administrator does.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().expect("the broker runs");
        server.signal("TERM");
        server.wait_for_end(STOP_TIME);
    }

    /// Ends the broker at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().expect("the broker runs");
        server.signal("KILL");
        server.wait_for_end(STOP_TIME);
    }

    /// Stops the time of the broker, as an overloaded machine does, until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        self.server.as_ref().expect("the broker runs").signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.server.as_ref().expect("the broker runs").signal("CONT");
    }

    /// Deletes all data of a broker that is stopped.
    pub(crate) fn lose_disk(&self) {
        assert!(self.server.is_none(), "the broker is stopped");
        fs::remove_dir_all(self.folder.path().join("db")).unwrap();
    }
}
