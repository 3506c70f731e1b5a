//! SSDP: where a UPnP device has its description (UPnP Device Architecture 1.1, section 1.3).

use std::net::SocketAddr;

use super::upnp::{DEVICE_PATH, PRODUCT, UUIDS};

/// What a router is.
const TARGETS: [&str; 5] = [
    "upnp:rootdevice",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
];
const ALL: &str = "ssdp:all";

/// The answer to a search for something that a router is.
pub(super) fn answer(location: SocketAddr, data: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(data).ok()?;
    let mut lines = text.lines();
    if !lines.next()?.starts_with("M-SEARCH ") {
        return None;
    }
    let header = |line: &str| -> Option<String> {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("ST").then(|| value.trim().to_owned())
    };
    let wanted = lines.find_map(header)?;
    let [_, gateway, ..] = TARGETS;
    let target =
        if wanted == ALL { gateway } else { TARGETS.into_iter().find(|target| *target == wanted)? };
    let [gateway_id, _, connection_id] = UUIDS;
    let id = if target.contains(":service:") { connection_id } else { gateway_id };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\n\
         LOCATION: http://{location}{DEVICE_PATH}\r\nSERVER: {PRODUCT}\r\n\
         ST: {target}\r\nUSN: {id}::{target}\r\n\r\n"
    );
    Some(answer.into_bytes())
}
