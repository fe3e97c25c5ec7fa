//! What an agent tells is OTLP: the OpenTelemetry Collector's own receiver reads it.

use std::process::Command;

use alaz_tests::alaz;
use alaz_tests::cluster;
use alaz_tests::nginx::Nginx;
use alaz_tests::program::{self, Program};
use alaz_tests::{free_port, turn_to_capture, wait_until};

#[test]
fn a_collector_reads_what_an_agent_tells() {
    let Some(_turn) = turn_to_capture() else { return };
    let nginx = Nginx::start();
    let (port, listen) = (free_port(), free_port());
    let config = format!(
        "{{receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}}}}}}}, \
          exporters: {{debug: {{verbosity: detailed}}}}, \
          service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: {{\
            metrics: {{receivers: [otlp], exporters: [debug]}}, \
            traces: {{receivers: [otlp], exporters: [debug]}}}}}}}}"
    );
    let mut collector = Command::new(cluster::program("collector"));
    let collector = Program::serve(collector.arg(config), port);
    let url = format!("http://127.0.0.1:{port}");
    let listen = format!("127.0.0.1:{listen}");
    let mut agent =
        Program::start(&mut alaz::command(&["agent", "--server", &url, "--listen", &listen]));
    wait_until("the agent watches", || {
        agent.assert_running();
        agent.stderr().contains("watching this machine")
    });
    let urls = ["/item/[1-20]", "/fail?n=[1-3]"].map(|path| nginx.url(path));
    program::run(Command::new("curl").args(["-sS", "-o", "/dev/null"]).args(urls));
    let nginx_port = format!("server.port: Int({})", nginx.address.port());
    // A metric with its points, and the spans, as the collector prints them.
    let read = |text: &str, name: &str, fact: &str| {
        let mut metrics = text.split("-> Name: ").filter(|metric| metric.starts_with(name));
        metrics.any(|metric| {
            let mut points = metric.split("DataPoints #");
            points.any(|point| point.contains(&nginx_port) && point.contains(fact))
        })
    };
    wait_until("the collector has read it", || {
        let text = collector.stderr();
        read(&text, "alaz.exchanges\n", "alaz.status: Str(200)")
            && read(&text, "alaz.exchange.errors\n", "error.type: Str(500)")
            && read(&text, "alaz.exchange.duration\n", "alaz.server.name: Str(nginx)")
            && text.contains("http.request.method: Str(GET)")
    });
    let text = collector.stderr();
    assert!(
        text.contains("service.name: Str(alaz-agent)")
            && text.contains("DataType: ExponentialHistogram")
    );
    assert!(agent.end(rustix::process::Signal::INT).success(), "{}", agent.stderr());
    assert!(agent.stderr().contains("; 0 were lost"), "{}", agent.stderr());
}
