//! Which addresses a name may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a request may reach, decided by how its host was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The host is a name: only public addresses, whatever the name resolves to.
    Public,
    /// The host is `localhost`: only this machine.
    Loopback,
    /// The host is an address, which a pattern named as such.
    Literal,
    /// The host is one that the host's own operator chose for the host itself, by any name. No tool, no provider and no
    /// client has a say in it.
    Anywhere,
}

impl Reach {
    /// The reach of a host that the operator named: by a pattern, or in a provider's file. An address that anybody
    /// else names must not get here, since it is taken to be meant.
    pub fn of(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() {
            Reach::Literal
        } else if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            Reach::Loopback
        } else {
            Reach::Public
        }
    }

    /// Whether a request may connect to this address.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Reach::Public => is_public(address),
            Reach::Loopback => address.to_canonical().is_loopback(),
            Reach::Literal | Reach::Anywhere => true,
        }
    }
}

/// Neither private, nor local, nor reserved: the IANA special-purpose registries, read as a list of refusals.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let refused = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || (a == 100 && (64..128).contains(&b)) // shared address space, RFC 6598
        || (a == 192 && b == 0 && c == 0) // IETF protocol assignments, RFC 6890
        || (a == 192 && b == 88 && c == 99) // 6to4 relays, RFC 7526
        || (a == 198 && (b == 18 || b == 19)) // benchmarking, RFC 2544
        || a >= 240; // reserved, RFC 1112
    !refused
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Global unicast is 2000::/3; within it, what carries an IPv4 address or serves tests is refused too.
    let global = segments[0] & 0xe000 == 0x2000;
    let refused = segments[0] == 0x2002 // 6to4, RFC 3056
        || (segments[0] == 0x2001 && segments[1] < 0x0200) // Teredo, ORCHID and the like, RFC 2928
        || (segments[0] == 0x2001 && segments[1] == 0x0db8) // documentation, RFC 3849
        || (segments[0] == 0x3fff && segments[1] < 0x1000); // documentation, RFC 9637
    global && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_lead_to_public_addresses_only() {
        for (address, public) in [
            ("140.82.121.6", true),
            ("2606:50c0:8000::153", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:140.82.121.6", true),
            ("64:ff9b::a9fe:a9fe", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(
                Reach::Public.allows(address.parse().unwrap()),
                public,
                "{address}"
            );
        }
    }

    #[test]
    fn localhost_means_this_machine_only() {
        assert_eq!(Reach::of("LOCALHOST."), Reach::Loopback);
        assert!(Reach::Loopback.allows("127.0.0.1".parse().unwrap()));
        assert!(!Reach::Loopback.allows("10.0.0.1".parse().unwrap()));
        assert_eq!(Reach::of("[::1]"), Reach::Literal);
        assert_eq!(Reach::of("127.0.0.1."), Reach::Public);
    }
}
