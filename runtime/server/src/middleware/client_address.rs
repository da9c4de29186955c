//! Whose request it is, by address: what limits and the audit count by.
//!
//! Anybody can write `X-Forwarded-For`. Each proxy appends the address that it was reached from, so
//! with N proxies of our own the N-th entry from the right is the last one that a proxy of ours wrote.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Finds out the address and hands it on as an extension of the request.
pub(crate) async fn set(State(hops): State<u8>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer {
        let address = address(peer.ip(), request.headers(), hops);
        request.extensions_mut().insert(address);
    }
    next.run(request).await
}

fn address(peer: IpAddr, headers: &HeaderMap, hops: u8) -> ClientAddress {
    let told = match hops {
        0 => None,
        hops => forwarded(headers, usize::from(hops)),
    };
    // An IPv4 address in the clothes of IPv6 would be a second identity of the same client.
    ClientAddress(told.unwrap_or(peer).to_canonical())
}

/// The entry so many places from the right. `None` if it is no address, or there are fewer: then the
/// request did not come through our proxies, and what it says about itself is not believed.
fn forwarded(headers: &HeaderMap, hops: usize) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let entry = entries.take(hops).nth(hops - 1)?;
    parse(std::str::from_utf8(entry).ok()?.trim())
}

/// An address, or, as some proxies write it, an address with a port.
fn parse(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let bare = entry.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse::<IpAddr>().ok()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::Extension;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower_service::Service as _;

    use super::*;

    const PEER: &str = "10.0.0.1";

    #[track_caller]
    fn check(lines: &[&str], hops: u8, expected: &str) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        let found = address(PEER.parse().unwrap(), &headers, hops);
        assert_eq!(
            found.0,
            expected.parse::<IpAddr>().unwrap(),
            "{lines:?} {hops}"
        );
    }

    #[test]
    fn without_proxies_of_our_own_the_header_is_not_read() {
        check(&["1.2.3.4"], 0, PEER);
        check(&[], 0, PEER);
    }

    #[test]
    fn the_entry_is_counted_from_the_right_over_all_lines() {
        check(&["6.6.6.6, 1.2.3.4"], 1, "1.2.3.4");
        check(&["6.6.6.6, 1.2.3.4, 10.0.0.2"], 2, "1.2.3.4");
        check(&["6.6.6.6,1.2.3.4", "10.0.0.2"], 2, "1.2.3.4");
    }

    #[test]
    fn what_is_no_address_or_not_there_falls_back_to_the_peer() {
        check(&["1.2.3.4, unknown"], 1, PEER);
        check(&["1.2.3.4,"], 1, PEER);
        check(&["1.2.3.4"], 2, PEER);
        check(&[], 1, PEER);
        check(&["\u{e9}"], 1, PEER);
        check(&["[1.2.3.4"], 1, PEER);
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_the_same_client() {
        check(&["1.2.3.4:5678"], 1, "1.2.3.4");
        check(&["[2001:db8::1]:443"], 1, "2001:db8::1");
        check(&["[2001:db8::1]"], 1, "2001:db8::1");
        check(&["::ffff:1.2.3.4"], 1, "1.2.3.4");
    }

    #[tokio::test]
    async fn handlers_get_the_address_as_an_extension() {
        let tell = async |Extension(address): Extension<ClientAddress>| address.0.to_string();
        let routes = Router::new().route("/", get(tell));
        let mut routes = routes.layer(from_fn_with_state(1, set));
        let mut request = Request::new(Body::empty());
        let headers = request.headers_mut();
        headers.insert(FORWARDED, "1.2.3.4".parse().unwrap());
        let peer = ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 7)));
        request.extensions_mut().insert(peer);
        let answer = routes.call(request).await.unwrap();
        let body = to_bytes(answer.into_body(), 100).await.unwrap();
        assert_eq!(body, "1.2.3.4");
    }
}
