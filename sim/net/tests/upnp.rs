//! UPnP through the front door: what it says of itself, what a mapped port is good for, and why one is not mapped.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use twocan_sim::packet::{Protocol, TcpFlags};
use twocan_sim::{Access, Chance, Drop, Link, NatConfig, RouterConfig, Services, kinds};
use world::control_point::{ControlPoint, GATEWAY, OLDER, SERVICE, body, key, mapping, post};
use world::{ADA, BOB, Bench, ONE, TWO, addr, ip, secs};

const UPNP: Services = Services { nat_pmp: false, pcp: false, upnp: true };
const EXTERNAL: &str = "80.80.2.1:6000";

fn bench() -> (Bench, ControlPoint) {
    of(RouterConfig { services: UPNP, ..kinds::home() })
}

fn of(config: RouterConfig) -> (Bench, ControlPoint) {
    let bench = Bench::new(config);
    let ada = ControlPoint::ada(&bench);
    (bench, ada)
}

/// The text of an element.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let start = format!("<{name}>");
    let rest = text.split_once(&start).unwrap_or_else(|| panic!("{name} in {text}")).1;
    rest.split_once("</").unwrap().0
}

#[test]
fn the_description_leads_to_the_actions_and_what_each_takes() {
    let (mut bench, mut ada) = bench();
    let device = ada.get(&mut bench, "/rootDesc.xml");
    let connection = &device[device.find(SERVICE).unwrap()..];
    assert_eq!(value(connection, "controlURL"), "/ctl/IPConn");
    let service = ada.get(&mut bench, value(connection, "SCPDURL"));
    let (_, add) = service.split_once("<name>AddPortMapping</name>").unwrap();
    let add = add.split_once("</action>").unwrap().0;
    let names: Vec<&str> = add.split("<name>").skip(1).map(|rest| rest.split_once('<').unwrap().0).collect();
    let expected: Vec<&str> = mapping("", "", "", "").iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected);
    let common = &device[device.find("WANCommonInterfaceConfig:1").unwrap()..];
    let common = ada.get(&mut bench, value(common, "SCPDURL"));
    for document in [device, service, common] {
        let (head, body) = document.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(xml::EventReader::from_str(body).into_iter().all(|event| event.is_ok()), "{body}");
    }
}

#[test]
fn it_says_the_external_address_byte_by_byte() {
    let (mut bench, mut ada) = bench();
    let request = post(SERVICE, "GetExternalIPAddress", &body(SERVICE, "GetExternalIPAddress", &[]));
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nContent-Length: 355\r\n\
         Connection: close\r\nServer: twocan-sim UPnP/1.1\r\nExt:\r\n\r\n<?xml version=\"1.0\"?>\r\n\
         <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:GetExternalIPAddressResponse \
         xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:2\">\
         <NewExternalIPAddress>80.80.2.1</NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body>\
         </s:Envelope>\r\n";
    assert_eq!(ada.ask(&mut bench, &request), expected);
}

#[test]
fn an_error_says_its_code_and_its_name_byte_by_byte() {
    let (mut bench, mut ada) = bench();
    let request = post(SERVICE, "DeletePortMapping", &body(SERVICE, "DeletePortMapping", &key("6000")));
    let answer = ada.ask(&mut bench, &request);
    let expected = "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><s:Fault>\
         <faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
         <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>714</errorCode>\
         <errorDescription>NoSuchEntryInArray</errorDescription></UPnPError></detail></s:Fault></s:Body>\
         </s:Envelope>\r\n";
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, expected);
}

#[test]
fn a_mapped_port_is_open_to_all_until_its_lease_ends() {
    let (mut bench, mut ada) = bench();
    let start = bench.world.now;
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    assert!(bench.gets_in(ONE, addr(EXTERNAL)) && bench.gets_in(TWO, addr(EXTERNAL)));
    assert_eq!(bench.ada_to(ONE), addr(EXTERNAL), "and what she sends comes from there");
    bench.world.now = start + secs(599);
    assert!(bench.gets_in(TWO, addr(EXTERNAL)));
    bench.world.pass(secs(301));
    assert!(!bench.gets_in(TWO, addr(EXTERNAL)), "it was not renewed");
}

#[test]
fn a_tcp_port_is_mapped_apart_from_that_of_udp() {
    let (mut bench, mut ada) = bench();
    let mut arguments = mapping("6000", "5000", "192.168.1.10", "600");
    arguments[2].1 = "TCP";
    assert!(ada.call(&mut bench, "AddPortMapping", &arguments).is_ok());
    assert!(!bench.gets_in(ONE, addr(EXTERNAL)));
    let arrived = bench.world.tcp(bench.one, ONE, addr(EXTERNAL), TcpFlags::SYN);
    assert_eq!(world::destination(&arrived), addr(ADA));
}

#[test]
fn a_lease_of_zero_and_one_too_long_are_a_week() {
    let (mut bench, mut ada) = bench();
    for lease in ["0", "604801", "4294967295"] {
        assert_eq!(ada.add(&mut bench, "6000", "5000", lease), Ok(()));
        let entry = ada.call(&mut bench, "GetSpecificPortMappingEntry", &key("6000")).unwrap();
        assert_eq!(value(&entry, "NewLeaseDuration"), "604800");
    }
}

#[test]
fn an_entry_tells_whose_it_is_and_how_long_it_still_lives() {
    let (mut bench, mut ada) = bench();
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    bench.world.pass(secs(100));
    let mut bob = ControlPoint::bob(&bench);
    let entry = bob.call(&mut bench, "GetSpecificPortMappingEntry", &key("6000"));
    let expected = "<NewInternalPort>5000</NewInternalPort><NewInternalClient>192.168.1.10</NewInternalClient>\
         <NewEnabled>1</NewEnabled><NewPortMappingDescription></NewPortMappingDescription>\
         <NewLeaseDuration>500</NewLeaseDuration>";
    assert_eq!(entry, Ok(expected.to_owned()));
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()), "renewed");
    let entry = bob.call(&mut bench, "GetSpecificPortMappingEntry", &key("6000")).unwrap();
    assert_eq!(value(&entry, "NewLeaseDuration"), "600");
    assert_eq!(bob.call(&mut bench, "GetSpecificPortMappingEntry", &key("6001")), Err(714));
}

#[test]
fn a_deleted_port_is_closed_and_only_who_has_it_deletes_it() {
    let (mut bench, mut ada) = bench();
    let mut bob = ControlPoint::bob(&bench);
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    assert_eq!(bob.delete(&mut bench, "6000"), Err(606));
    assert!(bench.gets_in(ONE, addr(EXTERNAL)));
    assert_eq!(ada.delete(&mut bench, "6001"), Err(714));
    assert_eq!(ada.delete(&mut bench, "6000"), Ok(()));
    assert_eq!(ada.delete(&mut bench, "6000"), Err(714));
    bench.world.pass(secs(301));
    assert!(!bench.gets_in(ONE, addr(EXTERNAL)));
    let dynamic = bench.ada_to(ONE);
    assert_eq!(ada.delete(&mut bench, &dynamic.port().to_string()), Err(714), "nobody asked for it");
}

#[test]
fn somebody_elses_port_is_in_conflict_and_any_other_will_do() {
    let (mut bench, mut ada) = bench();
    let mut bob = ControlPoint::bob(&bench);
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    assert_eq!(bob.add(&mut bench, "6000", "5000", "600"), Err(718));
    let arguments = mapping("6000", "5000", "192.168.1.11", "600");
    let reserved = bob.call(&mut bench, "AddAnyPortMapping", &arguments).unwrap();
    let port: u16 = value(&reserved, "NewReservedPort").parse().unwrap();
    assert_ne!(port, 6000);
    let arrived = bench.world.udp(bench.one, ONE, (ip("80.80.2.1"), port).into());
    assert_eq!(world::destination(&arrived), addr(BOB));
    let free = bob.call(&mut bench, "AddAnyPortMapping", &mapping("6001", "5001", "192.168.1.11", "600"));
    assert_eq!(free, Ok("<NewReservedPort>6001</NewReservedPort>".to_owned()));
}

#[test]
fn a_port_that_somebody_talks_through_is_in_conflict_too() {
    let (mut bench, mut ada) = bench();
    let taken = bench.bob_to(ONE).port().to_string();
    assert_eq!(ada.add(&mut bench, &taken, "5001", "600"), Err(718));
    let own = bench.ada_to(ONE);
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Err(729), "she has a port already");
    assert_eq!(ada.add(&mut bench, &own.port().to_string(), "5000", "600"), Ok(()));
    assert!(bench.gets_in(TWO, own));
}

#[test]
fn who_maps_a_port_of_his_own_once_more_moves_it() {
    let (mut bench, mut ada) = bench();
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    assert_eq!(bench.ada_to(ONE), addr(EXTERNAL), "and it is in use");
    assert_eq!(ada.add(&mut bench, "6000", "5555", "600"), Ok(()));
    let arrived = bench.world.udp(bench.one, ONE, addr(EXTERNAL));
    assert_eq!(world::destination(&arrived), addr("192.168.1.10:5555"));
}

#[test]
fn nobody_maps_for_somebody_else() {
    let (mut bench, mut ada) = bench();
    for client in ["192.168.1.11", "192.168.1.1", "10.9.9.9", "80.80.1.1"] {
        for action in ["AddPortMapping", "AddAnyPortMapping"] {
            let answer = ada.call(&mut bench, action, &mapping("6000", "5000", client, "600"));
            assert_eq!(answer, Err(606), "{client}");
        }
    }
    assert!(!bench.gets_in(ONE, addr(EXTERNAL)));
}

#[test]
fn what_is_asked_in_the_wrong_way_is_refused_by_name() {
    let (mut bench, mut ada) = bench();
    let good = mapping("6000", "5000", "192.168.1.10", "600");
    let mut with = |name: &str, value: &str| {
        let other = |(at, old): &(&'static str, &'static str)| {
            (*at, if *at == name { value.to_owned() } else { (*old).to_owned() })
        };
        let arguments: Vec<(&str, String)> = good.iter().map(other).collect();
        let arguments: Vec<(&str, &str)> =
            arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ada.call(&mut bench, "AddPortMapping", &arguments).map(|_| ())
    };
    assert_eq!(with("NewProtocol", "SCTP"), Err(402));
    assert_eq!(with("NewExternalPort", "65536"), Err(402));
    assert_eq!(with("NewExternalPort", "six"), Err(402));
    assert_eq!(with("NewInternalPort", "-1"), Err(402));
    assert_eq!(with("NewInternalClient", "ada.lan"), Err(402), "names are not looked up");
    assert_eq!(with("NewLeaseDuration", ""), Err(402));
    assert_eq!(with("NewEnabled", "perhaps"), Err(402));
    assert_eq!(with("NewEnabled", "0"), Err(501));
    assert_eq!(with("NewExternalPort", "0"), Err(716));
    assert_eq!(with("NewInternalPort", "0"), Err(732));
    assert_eq!(with("NewRemoteHost", "80.80.1.1"), Err(726));
    assert_eq!(with("NewRemoteHost", "*"), Ok(()));
    for missing in [1, 2, 3, 4, 5, 7] {
        let mut arguments = good.clone();
        arguments.remove(missing);
        assert_eq!(ada.call(&mut bench, "AddPortMapping", &arguments), Err(402), "{missing}");
    }
    assert_eq!(ada.call(&mut bench, "ForceTermination", &[]), Err(401));
    assert_eq!(
        ada.call_of(&mut bench, "urn:dslforum-org:service:WANIPConnection:1", "GetStatusInfo", &[]),
        Err(401)
    );
    let mixed = post(OLDER, "GetStatusInfo", &body(SERVICE, "GetStatusInfo", &[]));
    assert!(ada.ask(&mut bench, &mixed).contains("<errorCode>401<"), "header and body differ");
    let elsewhere =
        String::from_utf8(post(SERVICE, "GetStatusInfo", &body(SERVICE, "GetStatusInfo", &[]))).unwrap();
    let elsewhere = elsewhere.replace("/ctl/IPConn", "/ctl/CmnIfCfg");
    assert!(ada.ask(&mut bench, elsewhere.as_bytes()).contains("<errorCode>401<"), "not of that service");
}

#[test]
fn where_no_port_is_left_none_is_mapped() {
    let nat = NatConfig { mappings_max: 0, ..NatConfig::default() };
    let (mut full, mut ada) = of(RouterConfig { nat: Some(nat), services: UPNP, ..RouterConfig::default() });
    assert_eq!(ada.add(&mut full, "6000", "5000", "600"), Err(728));
    let (mut plain, mut ada) = of(RouterConfig { services: UPNP, ..RouterConfig::default() });
    assert_eq!(ada.add(&mut plain, "6000", "5000", "600"), Err(501), "there is no NAT");
    assert_eq!(ada.call(&mut plain, "GetExternalIPAddress", &[]), Err(501));
    let status = ada.call(&mut plain, "GetStatusInfo", &[]).unwrap();
    assert_eq!(value(&status, "NewConnectionStatus"), "Disconnected");
    let (mut carrier, mut ada) = of(RouterConfig { services: UPNP, ..kinds::cgnat() });
    assert_eq!(ada.add(&mut carrier, "80", "5000", "600"), Err(718), "not of the subscriber's block");
}

#[test]
fn the_status_says_for_how_long_the_router_runs() {
    let (mut bench, mut ada) = bench();
    bench.world.pass(secs(300));
    let status = ada.call_of(&mut bench, OLDER, "GetStatusInfo", &[]);
    let expected = "<NewConnectionStatus>Connected</NewConnectionStatus>\
         <NewLastConnectionError>ERROR_NONE</NewLastConnectionError><NewUptime>300</NewUptime>";
    assert_eq!(status, Ok(expected.to_owned()));
}

#[test]
fn prefixes_headers_comments_and_entities_are_the_clients_choice() {
    let (mut bench, mut ada) = bench();
    let body = format!(
        "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><!-- by hand -->\
         <Header><t xmlns=\"urn:t\"><u>5</u></t></Header><Body>\n\
         <AddPortMapping xmlns=\"{SERVICE}\"><NewExternalPort> &#54;000 </NewExternalPort><NewProtocol>udp</NewProtocol>\
         <NewInternalPort><![CDATA[5000]]></NewInternalPort><NewInternalClient>192.168.1.10</NewInternalClient>\
         <NewEnabled>true</NewEnabled><NewPortMappingDescription/><NewLeaseDuration>600</NewLeaseDuration>\
         </AddPortMapping></Body></Envelope>"
    );
    let request = format!(
        "POST /ctl/IPConn HTTP/1.0\r\nsoapaction: {SERVICE}#AddPortMapping\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ada.ask(&mut bench, request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(bench.gets_in(ONE, addr(EXTERNAL)));
}

#[test]
fn a_restarted_router_knows_nothing_and_one_that_moved_is_found_at_its_new_address() {
    let (mut bench, mut ada) = bench();
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    bench.world.network.rebind(bench.router, &[], bench.world.now);
    assert!(!bench.gets_in(ONE, addr(EXTERNAL)));
    assert_eq!(ada.add(&mut bench, "6000", "5000", "600"), Ok(()));
    let inside = bench.world.network.inside(bench.router);
    bench.world.network.set_addresses(inside, &[ip("192.168.1.254")], bench.world.now);
    ada.to = addr("192.168.1.254:5000");
    assert!(ada.call(&mut bench, "GetSpecificPortMappingEntry", &key("6000")).is_ok());
}

#[test]
fn a_port_mapped_by_one_protocol_is_seen_by_the_other() {
    let (mut bench, mut ada) = of(RouterConfig { services: Services::ALL, ..kinds::home() });
    let now = bench.world.now;
    let mapped = bench.world.network.map_port(bench.router, Protocol::Udp, addr(ADA), 6000, secs(600), now);
    assert_eq!(mapped, Ok(addr(EXTERNAL)));
    let entry = ada.call(&mut bench, "GetSpecificPortMappingEntry", &key("6000")).unwrap();
    assert_eq!(value(&entry, "NewInternalPort"), "5000");
    assert_eq!(ada.add(&mut bench, "7000", "5000", "600"), Err(729), "an endpoint has one port");
}

#[test]
fn a_link_that_loses_packets_does_not_keep_a_port_from_being_mapped() {
    let (mut bench, mut ada) = bench();
    let interface = bench.world.network.interfaces(bench.ada)[0];
    let lossy = Link { loss: Chance::percent(20.0), ..Link::default() };
    bench.world.network.set_access(interface, Access::both(lossy), bench.world.now);
    for port in 6000..6010_u16 {
        assert_eq!(ada.add(&mut bench, &port.to_string(), &port.to_string(), "600"), Ok(()));
    }
    assert!(bench.world.dropped(Drop::Lost) > 0);
}

#[test]
fn the_same_seed_gives_the_same_segments() {
    let heard = |n| {
        let config = RouterConfig { services: UPNP, ..kinds::home() };
        let mut bench = Bench::with_pool(config, &["80.80.2.1"], n);
        let mut ada = ControlPoint::ada(&bench);
        ada.get(&mut bench, "/rootDesc.xml");
        ada.add(&mut bench, "6000", "5000", "600").unwrap();
        ada.heard
    };
    assert!(heard(7).len() > 4);
    assert_eq!(heard(7), heard(7));
    assert_ne!(heard(7), heard(8), "sequence numbers are random");
}

#[test]
fn only_the_inside_is_served_and_only_where_there_is_upnp() {
    let (mut bench, _) = bench();
    assert!(bench.world.tcp(bench.one, ONE, addr("80.80.2.1:5000"), TcpFlags::SYN).is_empty());
    let mut without =
        Bench::new(RouterConfig { services: Services { upnp: false, ..Services::ALL }, ..kinds::home() });
    let refused = without.world.tcp(without.ada, ADA, addr(GATEWAY), TcpFlags::SYN);
    assert!(refused[0].packet.flow().unwrap().flags.contains(TcpFlags::RST));
    assert_eq!(without.world.dropped(Drop::NoService), 1);
}
