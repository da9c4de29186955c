//! Files: in one piece and in slices, on three clouds, with credentials that end.

use super::*;

#[test]
fn slices_whose_credentials_have_ended_are_fetched_on_with_new_ones() {
    let second = slice(7, "2.csv.gz");
    for refused in [
        Reply::status(400),
        Reply::status(401),
        Reply::status(403),
        Reply::failure(Failure::auth("the credential `google-token` has ended")),
    ] {
        let host = exporting(
            FakeHost::new().reply(&second, refused),
            "in.c-crm.orders",
            7,
        )
        .reply(
            &url("tables/in.c-crm.orders"),
            reply(&stored("in.c-crm.orders")),
        );
        host.sync::<Keboola>(&orders(), &[]).unwrap();
        assert_eq!(host.rows("crm_orders").len(), 2);
        assert_eq!(count(&host, &url("files/7?federationToken=1")), 2);
        assert_eq!(
            count(&host, &slice(7, "part%201.csv.gz")),
            1,
            "what came stays"
        );
    }
}

#[test]
fn credentials_that_never_work_end_the_run_as_storages_fault() {
    let host = FakeHost::new()
        .reply(&slice(7, "part%201.csv.gz"), Reply::status(403))
        .reply(&slice(7, "part%201.csv.gz"), Reply::status(403));
    let host = exporting(host, "in.c-crm.orders", 7).reply(
        &url("tables/in.c-crm.orders"),
        reply(&stored("in.c-crm.orders")),
    );
    let failure = host.sync::<Keboola>(&orders(), &[]).unwrap_err();
    assert!(matches!(failure, Failure::Upstream(_)), "{failure:?}");
    assert_eq!(host.cursor("crm_orders"), None);
    assert_eq!(host.checkpoints(), 0);
}

/// A host whose file 7 is this.
fn with_file(file: &Value) -> FakeHost {
    let job = json!({"id": 5, "status": "success", "results": {"file": {"id": 7}}});
    FakeHost::new()
        .reply(
            &url("tables/in.c-crm.orders"),
            reply(&stored("in.c-crm.orders")),
        )
        .reply(&url("tables/in.c-crm.orders/export-async"), reply(&job))
        .reply(&url("files/7?federationToken=1"), reply(file))
}

#[test]
fn a_file_in_one_piece_has_a_line_of_names() {
    let address = "https://kbc.s3.amazonaws.com/7.csv.gz?sluice-derived=file-address-1";
    let host = with_file(&json!({"id": 7, "isSliced": false, "url": address}))
        .reply(address, Reply::text("amount,id\n10,1\n"));
    host.sync::<Keboola>(&orders(), &[]).unwrap();
    assert_eq!(
        host.rows("crm_orders"),
        [json!({"id": "1", "amount": "10"})]
    );
}

#[test]
fn each_cloud_has_its_own_addresses() {
    for (entry, address) in [
        (
            "s3://kbc-files/a b/1.gz",
            "https://kbc-files.s3.eu-west-1.amazonaws.com/a%20b/1.gz",
        ),
        (
            "azure://kbc.blob.core.windows.net/c/1.gz",
            "https://kbc.blob.core.windows.net/c/1.gz",
        ),
        (
            "gs://kbc/a/../1+.gz",
            "https://storage.googleapis.com/kbc/a/../1%2B.gz",
        ),
    ] {
        let manifest = "https://files.example.com/m?sluice-derived=file-address-1";
        let host =
            with_file(&json!({"id": 7, "isSliced": true, "url": manifest, "region": "eu-west-1"}))
                .reply(manifest, reply(&json!({"entries": [{"url": entry}]})))
                .reply(address, Reply::text("1,10\n"));
        host.sync::<Keboola>(&orders(), &[]).unwrap();
        assert_eq!(host.rows("crm_orders").len(), 1, "{entry}");
    }
    for entry in ["file:///etc/passwd", "gs:kbc", "https://evil.example/x"] {
        let manifest = "https://files.example.com/m";
        let host = with_file(&json!({"id": 7, "isSliced": true, "url": manifest}))
            .reply(manifest, reply(&json!({"entries": [{"url": entry}]})));
        let failure = host.sync::<Keboola>(&orders(), &[]).unwrap_err();
        assert!(
            failure.message().contains("unknown kind"),
            "{entry}: {failure}"
        );
    }
}

#[test]
fn a_private_endpoint_takes_the_place_of_every_cloud() {
    for (entry, address) in [
        ("s3://kbc/1.gz", "https://files.local:9000/kbc/1.gz"),
        ("gs://kbc/1.gz", "https://files.local:9000/kbc/1.gz"),
        (
            "azure://kbc.blob.core.windows.net/c/1.gz",
            "https://files.local:9000/c/1.gz",
        ),
    ] {
        let manifest = "https://files.local:9000/m";
        let settings = json!({"url": STACK, "tables": [{"id": "in.c-crm.orders"}],
            "file_endpoint": "https://files.local:9000/"});
        let host = with_file(&json!({"id": 7, "isSliced": true, "url": manifest}))
            .reply(manifest, reply(&json!({"entries": [{"url": entry}]})))
            .reply(address, Reply::text("1,10\n"));
        host.sync::<Keboola>(&settings.to_string(), &[]).unwrap();
        assert_eq!(host.rows("crm_orders").len(), 1, "{entry}");
    }
}
