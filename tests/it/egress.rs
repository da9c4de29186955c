//! Requests go where the admin said, and nowhere else.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use integration_tests::{Internet, files, outcome};
use serde_json::json;

use crate::shop::{Shop, count};

/// What the gate decided in the newest run: each row's host, path and decision.
#[track_caller]
fn decisions(shop: &Shop) -> String {
    let run = shop.get("/api/runs?limit=1").ok()["runs"][0]["id"].take();
    let egress = shop
        .get(&format!("/api/runs/{}/egress", run.as_str().unwrap()))
        .ok();
    let rows = egress["rows"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let lines = rows.map(|row| {
        let [decision, host, path] = ["decision", "host", "path"].map(|key| text(&row[key]));
        format!("{host} {path}: {decision}\n")
    });
    shop.internet.named(&lines.collect::<String>())
}

/// Points the source `shop` at a page, keeping the orders that are published.
#[track_caller]
fn redirect(shop: &Shop, target: String) -> String {
    shop.internet.handle("/orders.csv", move |_| {
        (StatusCode::FOUND, [("location", target.clone())]).into_response()
    });
    let outcome = shop.outcome("shop");
    assert_eq!(shop.orders(), count(3), "what was published stays");
    outcome
}

#[test]
fn a_redirect_is_followed_where_the_grant_allows() {
    let shop = Shop::with_orders();
    shop.internet
        .page("/moved.csv", "text/csv", "id\n1\n2\n3\n");
    assert_eq!(redirect(&shop, "/moved.csv".into()), "succeeded");
    assert_eq!(shop.internet.seen_at("/moved.csv").len(), 1);
}

#[test]
fn a_redirect_to_a_host_that_was_not_granted_is_refused() {
    let shop = Shop::with_orders();
    let elsewhere = Internet::start();
    elsewhere.page("/stolen.csv", "text/csv", "id\n1\n");
    let told = redirect(&shop, elsewhere.url("/stolen.csv"));
    insta::assert_snapshot!(elsewhere.named(&told), @"failed (limit): table `orders`, http://internet/orders.csv: `http://internet` was refused: no egress rule in effect for the source `shop` allows this request. A rule must be in what the connector asks for and in what the source was granted; add `http://internet` to both");
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn a_redirect_to_the_metadata_service_is_refused() {
    let shop = Shop::with_orders();
    insta::assert_snapshot!(redirect(&shop, "http://169.254.169.254/latest/meta-data/".into()), @"failed (limit): table `orders`, http://internet/orders.csv: `http://169.254.169.254` was refused: no egress rule in effect for the source `shop` allows this request. A rule must be in what the connector asks for and in what the source was granted; add `http://169.254.169.254` to both");
    insta::assert_snapshot!(decisions(&shop), @r"
    127.0.0.1 /orders.csv: sent
    169.254.169.254 /latest/meta-data/: refused: no egress rule allows it
    ");
}

#[test]
fn a_redirect_that_goes_round_ends() {
    let shop = Shop::with_orders();
    insta::assert_snapshot!(redirect(&shop, "/orders.csv".into()), @"failed (upstream): table `orders`, http://internet/orders.csv: `127.0.0.1` redirects more than 10 times");
}

#[test]
fn a_next_page_on_a_host_that_was_not_granted_is_refused() {
    let shop = Shop::open();
    let elsewhere = Internet::start();
    let page = json!({"data": [{"id": 1}], "next": elsewhere.url("/more")});
    shop.internet
        .page("/items", "application/json", page.to_string());
    shop.source(
        "items",
        [files::pages("items", &shop.internet.url("/items"))],
    );
    insta::assert_snapshot!(elsewhere.named(&shop.outcome("items")), @"failed (limit): table `items`, http://internet/more: `http://internet` was refused: no egress rule in effect for the source `items` allows this request. A rule must be in what the connector asks for and in what the source was granted; add `http://internet` to both");
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn an_inner_address_needs_an_exception_that_is_exact_to_the_port() {
    let shop = Shop::open();
    let settings = files::settings([files::csv("orders", &shop.internet.url("/orders.csv"))]);
    for (name, private) in [("of_none", vec![]), ("of_other", vec!["127.0.0.1:1"])] {
        shop.add_source(name, "files", &settings, &private);
        let told = shop.outcome(name).replace(name, "SOURCE");
        insta::allow_duplicates! { insta::assert_snapshot!(told, @"failed (limit): table `orders`, http://internet/orders.csv: `127.0.0.1` was refused: its address 127.0.0.1 is not globally routable, and the source `SOURCE` was not granted `internet` as a private address"); }
    }
    assert!(shop.internet.seen().is_empty());
}

#[test]
fn a_name_that_leads_inside_is_refused_too() {
    let shop = Shop::open();
    let port = shop.internet.address.port();
    for host in [
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ] {
        let table = files::csv("orders", &format!("http://{host}:{port}/orders.csv"));
        let name = format!(
            "from_{}",
            host.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        );
        let settings = files::settings([table]);
        shop.add_source(&name, "files", &settings, &[]);
        let run = shop.run(&name);
        assert_eq!(run["failure"]["kind"], "limit", "{host}: {}", outcome(&run));
    }
    assert!(shop.internet.seen().is_empty());
}

#[test]
fn the_environments_proxy_is_ignored() {
    let proxy = Internet::start();
    let url = proxy.url("");
    let environment = ["http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY"];
    let app = integration_tests::App::with(integration_tests::Options {
        environment: environment
            .map(|name| (name.to_owned(), url.clone()))
            .into(),
        ..Default::default()
    });
    let shop = Shop::of(app);
    shop.source(
        "shop",
        [files::csv("orders", &shop.internet.url("/orders.csv"))],
    );
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert!(proxy.seen().is_empty());
}

#[test]
fn a_request_carries_nothing_of_the_server() {
    let shop = Shop::with_orders();
    let seen = &shop.internet.seen()[0];
    let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    insta::assert_snapshot!(names.join(" "), @"accept accept-encoding host user-agent");
}
