//! An `ActiveMQ` with STOMP, for one test.
//!
//! Owns its configuration, and starting and killing it. Leaves processes to `processes`.

use std::process::Command;
use std::time::Duration;

use super::processes::{Folder, Process, free_ports, listens};

/// Where Debian's package is.
const HOME: &str = "/usr/share/activemq";
const START_TIME: Duration = Duration::from_secs(180);

pub(crate) struct ActiveMq {
    server: Option<Process>,
    port: u16,
    folder: Folder,
}

fn configuration(port: u16) -> String {
    format!(
        r#"<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <bean class="org.springframework.beans.factory.config.PropertyPlaceholderConfigurer"/>
  <broker xmlns="http://activemq.apache.org/schema/core" persistent="false" useJmx="false"
    dataDirectory="${{activemq.base}}/data">
    <transportConnectors><transportConnector name="stomp" uri="stomp://127.0.0.1:{port}"/></transportConnectors>
  </broker>
</beans>
"#
    )
}

impl ActiveMq {
    pub(crate) fn start(test: &str) -> Self {
        let folder = Folder::new(test);
        let [port] = free_ports();
        for name in ["conf", "data", "tmp"] {
            folder.make(name);
        }
        folder.write("conf/activemq.xml", &configuration(port));
        let mut broker = Self { server: None, port, folder };
        broker.start_again();
        broker
    }

    /// The address of a topic of this broker.
    pub(crate) fn topic(&self) -> String {
        format!("stomp://guest:guest@127.0.0.1:{}/hub", self.port)
    }

    pub(crate) fn start_again(&mut self) {
        let folder = self.folder.path();
        let at = |name: &str| folder.join(name).display().to_string();
        let mut command = Command::new("java");
        command
            .arg("-Xmx256m")
            .arg(format!("-Dactivemq.home={HOME}"))
            .arg(format!("-Dactivemq.base={}", folder.display()))
            .arg(format!("-Dactivemq.conf={}", at("conf")))
            .arg(format!("-Dactivemq.data={}", at("data")))
            .arg(format!("-Djava.io.tmpdir={}", at("tmp")))
            .args(["-jar", &format!("{HOME}/bin/activemq.jar"), "start"])
            .arg(format!("xbean:file:{}", at("conf/activemq.xml")))
            .current_dir(folder);
        let mut server = Process::start("activemq", folder, &mut command);
        server.wait_until("listening", START_TIME, || listens(self.port));
        self.server = Some(server);
    }

    /// Ends the broker at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().expect("the broker runs");
        server.signal("KILL");
        server.wait_for_end(Duration::from_secs(10));
    }
}
