//! Which addresses a request may be sent to.
//!
//! A name that is allowed may resolve to an inner address, by mistake or on purpose. Only globally
//! routable addresses pass by themselves, and forms that carry a v4 address inside a v6 one are
//! judged by both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the address is reachable from everywhere, so that sending to it reveals and touches
/// nothing inside.
pub fn is_globally_routable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared address space of carriers.
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments, 6to4 relays, benchmarking, AS112.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 192 && b == 31 && c == 196)
        || (a == 192 && b == 52 && c == 193)
        || (a == 192 && b == 175 && c == 48);
    !special
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    // Only 2000::/3 is handed out; that alone excludes loopback, mapped and compatible v4, link and
    // site local, unique local, multicast, discard-only and NAT64's well-known prefix.
    let global_unicast = s[0] & 0xe000 == 0x2000;
    let special = match s[0] {
        // Teredo, ORCHID, benchmarking, assignments; documentation.
        0x2001 => s[1] < 0x0200 || s[1] == 0x0db8,
        // 6to4 carries a v4 address.
        0x2002 => true,
        // AS112.
        0x2620 => s[1] == 0x004f && s[2] == 0x8000,
        // Documentation.
        0x3fff => s[1] < 0x1000,
        _ => false,
    };
    global_unicast && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_not_global() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!is_globally_routable(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn outer_addresses_are_global() {
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_globally_routable(text.parse().unwrap()), "{text}");
        }
    }
}
