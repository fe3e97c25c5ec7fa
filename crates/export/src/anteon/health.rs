//! What the backend is told of this agent every ten seconds.

use serde::Serialize;

use super::batch::{Metadata, Sender};

pub(super) const PATH: &str = "/healthcheck/";

/// Facts of this machine, which do not change.
#[derive(Clone, Debug)]
pub(super) struct Telemetry {
    kernel_version: String,
    cloud_provider: &'static str,
}

impl Telemetry {
    pub(super) fn read() -> Telemetry {
        let vendor = std::fs::read_to_string("/sys/class/dmi/id/board_vendor").unwrap_or_default();
        Telemetry {
            kernel_version: rustix::system::uname().release().to_string_lossy().into_owned(),
            cloud_provider: cloud_provider(vendor.trim()),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    metadata: Metadata<'a>,
    alaz_info: AlazInfo,
    telemetry: TelemetryFields<'a>,
}

#[derive(Serialize)]
struct AlazInfo {
    tracing: bool,
    metrics: bool,
    logs: bool,
    namespace_filter: &'static str,
}

#[derive(Serialize)]
struct TelemetryFields<'a> {
    kernel_version: &'a str,
    k8s_version: &'a str,
    cloud_provider: &'a str,
}

/// The body of a health check: what this agent does, and where it runs.
pub(super) fn body(from: &Sender, telemetry: &Telemetry) -> Vec<u8> {
    let body = Body {
        metadata: from.metadata(),
        // Neither node metrics nor logs are sent, and no namespace is left out.
        alaz_info: AlazInfo { tracing: true, metrics: false, logs: false, namespace_filter: "" },
        telemetry: TelemetryFields {
            kernel_version: &telemetry.kernel_version,
            k8s_version: "",
            cloud_provider: telemetry.cloud_provider,
        },
    };
    // There is nothing in it that JSON does not have.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The provider's name on the wire, by the vendor of the board (SMBIOS, baseboard manufacturer).
fn cloud_provider(vendor: &str) -> &'static str {
    match vendor {
        "Amazon EC2" => "AWS",
        "Google" => "GCP",
        "Microsoft Corporation" => "Azure",
        "DigitalOcean" => "DigitalOcean",
        _ => "",
    }
}
