//! A disk without room, a file system that refuses, and a folder that may only be read: said clearly, and survived.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::app::serve;
use integration_tests::{App, Options, files, shown};
use serde_json::json;

use crate::shop::Shop;

/// Rows of random text, about 5 MB of parquet.
fn much() -> String {
    let mut word = 1_u64;
    let rows = (0..300_000).map(|id| {
        word = word
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(id);
        format!(
            "{id},{word:016x}{:016x}\n",
            word.rotate_left(17).wrapping_mul(31)
        )
    });
    format!("id,word\n{}", rows.collect::<String>())
}

/// What starts a program that sees a file system of its own, after `script` has changed it; `$0` is the folder.
fn mounted(script: &str, folder: &Path) -> Vec<String> {
    let mut program = vec!["unshare".to_owned(), "--mount".to_owned()];
    let alone = Command::new("unshare").args(["--mount", "true"]).output();
    if !alone.is_ok_and(|output| output.status.success()) {
        // Who is not root may still be it in a world of their own.
        program.extend(["--user", "--map-root-user"].map(str::to_owned));
    }
    let script = format!("{script} && exec \"$@\"");
    program.extend(["sh".to_owned(), "-c".to_owned(), script]);
    program.push(folder.display().to_string());
    program
}

/// A shop whose extracts lie on a file system of their own, as a script mounts it; and where they are from here.
fn shop_on(script: &str) -> (tempfile::TempDir, Shop, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let extracts = folder.path().join("data/extracts");
    std::fs::create_dir_all(&extracts).unwrap();
    let through = mounted(script, &extracts);
    let options = Options {
        through,
        ..Options::default()
    };
    let shop = Shop::of(App::on(&folder.path().join("data"), options));
    shop.source(
        "shop",
        [files::csv("orders", &shop.internet.url("/orders.csv"))],
    );
    shop.source(
        "other",
        [files::csv("much", &shop.internet.url("/much.csv"))],
    );
    shop.internet
        .page("/much.csv", "text/csv", "id,word\n1,a\n");
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(shop.outcome("other"), "succeeded");
    let seen = format!("/proc/{}/root{}", shop.pid(), extracts.display());
    (folder, shop, seen.into())
}

/// The names in the folder of a source that are of unfinished work.
fn unfinished(extract: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(extract).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn a_full_disk_fails_the_run_and_spares_what_was_published() {
    let (_folder, shop, extracts) = shop_on("mount -t tmpfs -o size=4m none \"$0\"");
    shop.internet.page("/much.csv", "text/csv", much());
    let told = shop.outcome("other");
    assert!(
        told.starts_with("failed (limit): the disk is full: cannot write `"),
        "{told}"
    );
    assert!(told.contains("/data/extracts/other/"), "{told}");
    assert!(told.ends_with("free some space and run again"), "{told}");
    assert_eq!(unfinished(&extracts.join("other")), [""; 0]);
    assert_eq!(
        shop.rows("SELECT count(*), min(word) FROM much"),
        json!([[1, "a"]])
    );
    // Nor is another one harmed, and the space is there again.
    assert_eq!(shop.outcome("shop"), "succeeded");

    // Now something else takes all of it.
    let filler = extracts.join("filler");
    let filled = std::fs::write(&filler, vec![1; 8 << 20]);
    assert!(filled.is_err(), "there is no room left");
    let told = shop.outcome("shop");
    assert!(told.contains("the disk is full"), "{told}");
    assert_eq!(shop.rows("SELECT count(*) FROM orders"), json!([[3]]));
    std::fs::remove_file(filler).unwrap();
    assert_eq!(shop.outcome("shop"), "succeeded");
    shop.internet
        .page("/much.csv", "text/csv", "id,word\n1,b\n2,c\n");
    assert_eq!(shop.outcome("other"), "succeeded");
    assert_eq!(
        shop.rows("SELECT count(*), min(word) FROM much"),
        json!([[2, "b"]])
    );
}

#[test]
fn a_file_larger_than_the_server_may_write_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes. The signal would end the server; without it writing says what is wrong.
    let script = "trap '' XFSZ; ulimit -f 3000; exec \"$@\"";
    let through = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    let options = Options {
        through,
        ..Options::default()
    };
    let shop = Shop::of(App::on(&folder.path().join("data"), options));
    assert_eq!(shop.publish("much", "id,word\n1,a\n"), "succeeded");
    shop.internet.page("/much.csv", "text/csv", much());
    let told = shop.outcome("much");
    assert!(told.starts_with("failed (limit): "), "{told}");
    assert!(told.contains("/extracts/much/"), "{told}");
    assert!(told.contains("larger than this server may write"), "{told}");
    assert_eq!(
        shop.rows("SELECT count(*), min(word) FROM much"),
        json!([[1, "a"]])
    );
    assert_eq!(shop.publish("more", "id\n1\n"), "succeeded");
}

#[test]
fn a_data_folder_that_may_only_be_read_is_refused_at_the_start() {
    let mut shop = Shop::with_orders();
    assert!(shop.app().stop().success());
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
    let through = mounted(script, &shop.data);
    let options = Options {
        through,
        ..Options::default()
    };
    let output = serve(&shop.data, &options).output().unwrap();
    let told = shown(&output).replace(shop.data.to_str().unwrap(), "DATA");
    insta::assert_snapshot!(told, @r"
    exit status: 1
    --- stdout
    --- stderr
    error: cannot write to the data folder `DATA`: Read-only file system (os error 30)
    hint: create it and let this user write there, or choose another with --data-dir
    ");
    shop.app().restart();
    assert_eq!(shop.rows("SELECT count(*) FROM orders"), json!([[3]]));
}
