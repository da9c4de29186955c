//! Where a server really is: its name is allowed by a rule, resolved once, and its addresses are vetted
//! as those of any request. The address that was vetted is the one that is dialled.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use domain::address::is_globally_routable;
use url::Url;

use super::policy::Servers;

/// Finds the addresses of a host.
pub(super) type Resolve = fn(&str, u16) -> std::io::Result<Vec<SocketAddr>>;

/// Asks the system.
pub(super) fn system(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// The address of a server that may be dialled.
pub(super) fn vet(
    servers: &Servers,
    extension: &str,
    host: &str,
    port: u16,
    resolve: Resolve,
) -> Result<IpAddr, String> {
    let shown: String = host.chars().take(200).collect();
    let shown = shown.escape_debug();
    // Rules speak of URLs; what is meant is the host and the port. What a URL takes for something else,
    // such as a user's name, would pass the rule as another host than is resolved.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let url = Url::parse(&format!("https://{}:{port}/", bracketed(host)));
    let url = url.ok().filter(|_| host.chars().all(plain));
    let url = url.ok_or_else(|| format!("`{shown}` is not the name of a host"))?;
    if !servers.hosts.iter().any(|rule| rule.allows(&url)) {
        return Err(format!(
            "`{shown}:{port}` is not in `remote.extensions.{extension}.hosts` of the configuration"
        ));
    }
    let addresses =
        resolve(host, port).map_err(|error| format!("`{shown}` could not be resolved: {error}"))?;
    let refused = addresses.iter().find(|address| {
        !is_globally_routable(address.ip()) && !servers.private_addresses.contains(address)
    });
    if let Some(address) = refused {
        return Err(format!(
            "the address {} of `{shown}` is not globally routable, and `{address}` is not in \
             `remote.extensions.{extension}.private_addresses` of the configuration",
            address.ip()
        ));
    }
    let first = addresses
        .first()
        .ok_or_else(|| format!("`{shown}` has no address"))?;
    Ok(first.ip())
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(host: &str, private: &[&str]) -> Servers {
        Servers {
            hosts: vec![host.parse().unwrap()],
            private_addresses: private.iter().map(|a| a.parse().unwrap()).collect(),
            ..Servers::default()
        }
    }

    fn outside(_: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from(([93, 184, 215, 14], port))])
    }

    fn rebound(_: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let inner = SocketAddr::from(([169, 254, 169, 254], port));
        Ok(vec![SocketAddr::from(([93, 184, 215, 14], port)), inner])
    }

    #[test]
    fn only_hosts_and_ports_of_the_rules_are_dialled() {
        let servers = servers("db.example.com:5432", &[]);
        let vet = |host, port| vet(&servers, "postgres", host, port, outside);
        assert_eq!(
            vet("db.example.com", 5432).unwrap().to_string(),
            "93.184.215.14"
        );
        for (host, port) in [
            ("evil.example.com", 5432),
            ("db.example.com", 5433),
            ("db.example.com.evil.org", 5432),
            ("db.example.com/x", 5432),
            ("a@db.example.com", 5432),
            ("", 5432),
        ] {
            assert!(vet(host, port).is_err(), "{host}:{port}");
        }
    }

    #[test]
    fn an_inner_address_needs_an_exception_that_is_exact_to_the_port() {
        let refused = servers("db.example.com:5432", &["169.254.169.254:5433"]);
        let error = vet(&refused, "postgres", "db.example.com", 5432, rebound).unwrap_err();
        assert!(error.contains("169.254.169.254"), "{error}");
        let allowed = servers("db.example.com:5432", &["169.254.169.254:5432"]);
        assert!(vet(&allowed, "postgres", "db.example.com", 5432, rebound).is_ok());
    }
}
