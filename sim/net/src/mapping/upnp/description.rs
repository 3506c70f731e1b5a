//! What a router says of itself: the device (UPnP Device Architecture 1.1, section 2) and what its services can do.

/// Where the device's description is.
pub(crate) const DEVICE_PATH: &str = "/rootDesc.xml";
const CONNECTION_PATH: &str = "/WANIPCn.xml";
const COMMON_PATH: &str = "/WANCfg.xml";
/// Where the actions of [`ACTIONS`] are asked for.
pub(super) const CONNECTION_CONTROL: &str = "/ctl/IPConn";
/// Where the other service would have actions. Clients tell by that service that a device is a gateway.
pub(super) const COMMON_CONTROL: &str = "/ctl/CmnIfCfg";

/// The gateway's id, that of what leads out, and that of the connection, which has the service of ports.
pub(crate) const UUIDS: [&str; 3] = [
    "uuid:74776f63-616e-4000-8000-000000000001",
    "uuid:74776f63-616e-4000-8000-000000000002",
    "uuid:74776f63-616e-4000-8000-000000000003",
];
/// The service of ports by its two versions. Who asks for the older one gets the same.
pub(super) const CONNECTION_SERVICES: [&str; 2] =
    ["urn:schemas-upnp-org:service:WANIPConnection:2", "urn:schemas-upnp-org:service:WANIPConnection:1"];
const COMMON_SERVICE: &str = "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1";

/// An action: its name, what it takes, what it gives.
struct Action(&'static str, &'static [Argument], &'static [Argument]);
/// An argument's name, and the state variable that says what it may be.
type Argument = (&'static str, &'static str);

const REMOTE_HOST: Argument = ("NewRemoteHost", "RemoteHost");
const EXTERNAL_PORT: Argument = ("NewExternalPort", "ExternalPort");
const PROTOCOL: Argument = ("NewProtocol", "PortMappingProtocol");
const INTERNAL_PORT: Argument = ("NewInternalPort", "InternalPort");
const INTERNAL_CLIENT: Argument = ("NewInternalClient", "InternalClient");
const ENABLED: Argument = ("NewEnabled", "PortMappingEnabled");
const DESCRIPTION: Argument = ("NewPortMappingDescription", "PortMappingDescription");
const LEASE: Argument = ("NewLeaseDuration", "PortMappingLeaseDuration");

const MAPPING: &[Argument] =
    &[REMOTE_HOST, EXTERNAL_PORT, PROTOCOL, INTERNAL_PORT, INTERNAL_CLIENT, ENABLED, DESCRIPTION, LEASE];
const KEY: &[Argument] = &[REMOTE_HOST, EXTERNAL_PORT, PROTOCOL];
const ENTRY: &[Argument] = &[INTERNAL_PORT, INTERNAL_CLIENT, ENABLED, DESCRIPTION, LEASE];

/// WANIPConnection:2, as much of it as there is.
const ACTIONS: [Action; 6] = [
    Action("AddPortMapping", MAPPING, &[]),
    Action("AddAnyPortMapping", MAPPING, &[("NewReservedPort", "ExternalPort")]),
    Action("DeletePortMapping", KEY, &[]),
    Action("GetSpecificPortMappingEntry", KEY, ENTRY),
    Action("GetExternalIPAddress", &[], &[("NewExternalIPAddress", "ExternalIPAddress")]),
    Action(
        "GetStatusInfo",
        &[],
        &[
            ("NewConnectionStatus", "ConnectionStatus"),
            ("NewLastConnectionError", "LastConnectionError"),
            ("NewUptime", "Uptime"),
        ],
    ),
];

const VARIABLES: [(&str, &str); 12] = [
    ("RemoteHost", "string"),
    ("ExternalPort", "ui2"),
    ("PortMappingProtocol", "string"),
    ("InternalPort", "ui2"),
    ("InternalClient", "string"),
    ("PortMappingEnabled", "boolean"),
    ("PortMappingDescription", "string"),
    ("PortMappingLeaseDuration", "ui4"),
    ("ExternalIPAddress", "string"),
    ("ConnectionStatus", "string"),
    ("LastConnectionError", "string"),
    ("Uptime", "ui4"),
];

const VERSION: &str = "<specVersion><major>1</major><minor>1</minor></specVersion>";

/// The document at a path.
pub(super) fn document(path: &str) -> Option<String> {
    match path {
        DEVICE_PATH => Some(device()),
        CONNECTION_PATH => Some(service(&ACTIONS, &VARIABLES)),
        COMMON_PATH => Some(service(&[], &[("WANAccessType", "string")])),
        _ => None,
    }
}

/// A gateway, in it what leads out, in that the connection: each with the service that it is known by.
fn device() -> String {
    let [connection_type, _] = CONNECTION_SERVICES;
    let connection = entry(connection_type, "WANIPConn1", CONNECTION_PATH, CONNECTION_CONTROL);
    let common = entry(COMMON_SERVICE, "WANCommonIFC1", COMMON_PATH, COMMON_CONTROL);
    let [gateway_id, middle_id, connection_id] = UUIDS;
    let inner = node("WANConnectionDevice", connection_id, &connection, "");
    let middle = node("WANDevice", middle_id, &common, &inner);
    let outer = node("InternetGatewayDevice", gateway_id, "", &middle);
    format!(
        "<?xml version=\"1.0\"?>\r\n<root xmlns=\"urn:schemas-upnp-org:device-1-0\">{VERSION}{outer}</root>\r\n"
    )
}

fn node(kind: &str, id: &str, services: &str, devices: &str) -> String {
    let list = |name: &str, items: &str| match items {
        "" => String::new(),
        items => format!("<{name}>{items}</{name}>"),
    };
    format!(
        "<device><deviceType>urn:schemas-upnp-org:device:{kind}:2</deviceType><friendlyName>{kind}</friendlyName>\
         <manufacturer>Twocan</manufacturer><modelName>twocan-sim</modelName><UDN>{id}</UDN>{}{}</device>",
        list("serviceList", services),
        list("deviceList", devices)
    )
}

/// Nobody can subscribe to anything: the URL for that is empty, as it must be then.
fn entry(kind: &str, id: &str, document: &str, control: &str) -> String {
    format!(
        "<service><serviceType>{kind}</serviceType><serviceId>urn:upnp-org:serviceId:{id}</serviceId>\
         <SCPDURL>{document}</SCPDURL><controlURL>{control}</controlURL><eventSubURL></eventSubURL></service>"
    )
}

fn service(actions: &[Action], variables: &[(&str, &str)]) -> String {
    let argument = |(name, variable): &Argument, direction| {
        format!(
            "<argument><name>{name}</name><direction>{direction}</direction>\
             <relatedStateVariable>{variable}</relatedStateVariable></argument>"
        )
    };
    let action = |Action(name, takes, gives): &Action| {
        let takes = takes.iter().map(|each| argument(each, "in"));
        let arguments: String = takes.chain(gives.iter().map(|each| argument(each, "out"))).collect();
        format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
    };
    let variable = |(name, kind): &(&str, &str)| {
        format!(
            "<stateVariable sendEvents=\"no\"><name>{name}</name><dataType>{kind}</dataType></stateVariable>"
        )
    };
    let mut actions: String = actions.iter().map(action).collect();
    if !actions.is_empty() {
        actions = format!("<actionList>{actions}</actionList>");
    }
    let variables: String = variables.iter().map(variable).collect();
    format!(
        "<?xml version=\"1.0\"?>\r\n<scpd xmlns=\"urn:schemas-upnp-org:service-1-0\">{VERSION}{actions}\
         <serviceStateTable>{variables}</serviceStateTable></scpd>\r\n"
    )
}
