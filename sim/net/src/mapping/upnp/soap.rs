//! The calls in requests, and the answers to them (SOAP 1.1 as UPnP Device Architecture 1.1, section 3, uses it).
//!
//! ```text
//!  SOAPAction: "service#action"   <Envelope> <Body> <action xmlns=service> <argument>value</argument> …
//! ```

use std::collections::BTreeMap;

use xml::reader::{ParserConfig, XmlEvent};

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";

/// Not a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One action with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// The namespace of the action.
    pub(super) service: String,
    pub(super) action: String,
    pub(super) arguments: BTreeMap<String, String>,
}

/// What UPnP says went wrong: Device Architecture 1.1 section 3.2.2, and WANIPConnection:2 section 2.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorCode(u16, &'static str);

impl ErrorCode {
    pub(super) const INVALID_ACTION: ErrorCode = ErrorCode(401, "Invalid Action");
    pub(super) const INVALID_ARGS: ErrorCode = ErrorCode(402, "Invalid Args");
    pub(super) const ACTION_FAILED: ErrorCode = ErrorCode(501, "Action Failed");
    pub(super) const NOT_AUTHORIZED: ErrorCode = ErrorCode(606, "Action not authorized");
    pub(super) const NO_SUCH_ENTRY: ErrorCode = ErrorCode(714, "NoSuchEntryInArray");
    pub(super) const EXTERNAL_WILDCARD: ErrorCode = ErrorCode(716, "WildCardNotPermittedInExtPort");
    pub(super) const CONFLICT: ErrorCode = ErrorCode(718, "ConflictInMappingEntry");
    pub(super) const ONLY_ANY_REMOTE: ErrorCode = ErrorCode(726, "RemoteHostOnlySupportsWildcard");
    pub(super) const NO_PORTS: ErrorCode = ErrorCode(728, "NoPortMapsAvailable");
    pub(super) const OTHER_MECHANISM: ErrorCode = ErrorCode(729, "ConflictWithOtherMechanisms");
    pub(super) const INTERNAL_WILDCARD: ErrorCode = ErrorCode(732, "WildCardNotPermittedInIntPort");
}

/// What SOAP's header names, by service and action.
pub(super) fn parse_header(value: &str) -> Option<(&str, &str)> {
    let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    value.split_once('#')
}

/// Prefixes are the client's choice, and so are headers of the envelope; what else is not as it should be is refused.
pub(super) fn parse_body(body: &[u8]) -> Result<Call, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
    // SOAP has none (section 3 of SOAP 1.1), and so no entities of its own.
    if text.contains("<!DOCTYPE") {
        return Err(Malformed);
    }
    let config = ParserConfig::new().cdata_to_characters(true).ignore_comments(true);
    let mut reading = Reading::default();
    for event in config.create_reader(text.as_bytes()) {
        match event.map_err(|_| Malformed)? {
            XmlEvent::StartElement { name, .. } => {
                reading.start(name.namespace.unwrap_or_default(), name.local_name)?;
            }
            XmlEvent::Characters(text) => reading.text(&text)?,
            XmlEvent::EndElement { .. } => reading.end(),
            _ => {}
        }
    }
    reading.call.ok_or(Malformed)
}

/// How far a call is read.
#[derive(Default)]
struct Reading {
    depth: usize,
    is_in_body: bool,
    call: Option<Call>,
    argument: Option<String>,
}

impl Reading {
    fn start(&mut self, namespace: String, name: String) -> Result<(), Malformed> {
        self.depth += 1;
        match (self.depth, name.as_str(), self.is_in_body) {
            (1, "Envelope", _) if namespace == ENVELOPE => {}
            (2, "Header", _) if namespace == ENVELOPE => self.is_in_body = false,
            (2, "Body", _) if namespace == ENVELOPE => self.is_in_body = true,
            (3, _, true) if self.call.is_none() => {
                self.call = Some(Call { service: namespace, action: name, ..Call::default() });
            }
            (4, _, true) => {
                let arguments = self.call.as_mut().map(|call| &mut call.arguments).ok_or(Malformed)?;
                if arguments.insert(name.clone(), String::new()).is_some() {
                    return Err(Malformed);
                }
                self.argument = Some(name);
            }
            (3.., _, false) => {}
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Malformed> {
        if !self.is_in_body {
            return Ok(());
        }
        let (call, argument) = (self.call.as_mut(), self.argument.as_ref());
        let value = call.zip(argument).and_then(|(call, argument)| call.arguments.get_mut(argument));
        value.ok_or(Malformed)?.push_str(text);
        Ok(())
    }

    fn end(&mut self) {
        self.depth -= 1;
        self.argument = None;
    }
}

/// What an action gives. Values are ours, and nothing in them needs to be escaped.
pub(super) fn answer(service: &str, action: &str, values: &[(&str, String)]) -> String {
    let values: String = values.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
    envelope(&format!("<u:{action}Response xmlns:u=\"{service}\">{values}</u:{action}Response>"))
}

/// Why it gives nothing.
pub(super) fn fault(ErrorCode(code, description): ErrorCode) -> String {
    envelope(&format!(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
         <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{code}</errorCode>\
         <errorDescription>{description}</errorDescription></UPnPError></detail></s:Fault>"
    ))
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"{ENVELOPE}\" s:encodingStyle=\"{ENCODING}\"><s:Body>{body}\
         </s:Body></s:Envelope>\r\n"
    )
}
