//! `sluice connector`: the author's loop on files; what lies on a server is in `kept`.

mod author;
mod distant;
mod kept;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use domain::manifest;
use sandbox::artifact::{self, ArtifactError, Inspection, SigningKey};

use super::output::{CliError, CliResult, bytes, plain, print, say};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a publisher's key pair: KEY and KEY.pub
    Keygen {
        /// Where the secret half goes
        #[arg(short, long, value_name = "KEY")]
        output: PathBuf,
    },
    /// Begin a connector: a folder that builds and passes the test as it is
    New(author::New),
    /// Build a connector's folder into a component with its manifest
    Build {
        /// The connector's folder
        dir: PathBuf,
        /// Where the component goes
        #[arg(short, long, value_name = "OUT.wasm")]
        output: PathBuf,
    },
    /// Try a component against recorded answers: the acceptance suite, without a server
    Test(author::Test),
    /// Replay recorded runs on two versions, and show where they differ
    Compare(author::Compare),
    /// Sign a component
    Sign {
        /// The component
        input: PathBuf,
        /// The secret half of the publisher's key
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
        /// Where the signed component goes
        #[arg(short, long, value_name = "OUT.wasm")]
        output: PathBuf,
    },
    /// Show what a component says about itself, without running it
    Inspect {
        /// The component
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a component's signature
    Verify {
        /// The component
        file: PathBuf,
        /// The publisher's KEY.pub, of `keygen`, OpenSSH or in PEM; or its 64 hexadecimal digits
        #[arg(long, value_name = "FILE|HEX")]
        public_key: String,
    },
    /// Print the JSON Schema of manifests, for editors
    Schema,
    /// What lies on a server
    #[command(flatten)]
    Kept(kept::Command),
}

pub(super) fn connector(command: Command) -> CliResult<()> {
    match command {
        Command::Keygen { output } => keygen(&output),
        Command::New(new) => author::new(&new),
        Command::Test(test) => author::test(&test),
        Command::Compare(compare) => author::compare(&compare),
        Command::Build { dir, output } => build(&dir, &output),
        Command::Sign { input, key, output } => sign(&input, &key, &output),
        Command::Inspect { file, json } => inspect(&file, json),
        Command::Verify { file, public_key } => verify(&file, &public_key),
        Command::Schema => {
            print(&manifest::schema_text());
            Ok(())
        }
        Command::Kept(command) => super::wait(kept::kept(command)),
    }
}

fn keygen(output: &Path) -> CliResult<()> {
    let key = SigningKey::generate();
    let mut public = output.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    write_new(output, 0o600, key.to_pem().as_bytes())?;
    let line = format!("{} sluice publisher key, ed25519\n", key.public_hex());
    write_new(&public, 0o644, line.as_bytes())?;
    say(format!(
        "{}  the secret half: keep it to yourself",
        output.display()
    ));
    say(format!(
        "{}  the public half: {}",
        public.display(),
        key.public_hex()
    ));
    Ok(())
}

/// Never writes over a file: an overwritten key cannot be had back.
fn write_new(path: &Path, mode: u32, content: &[u8]) -> CliResult<()> {
    let failed = |error: std::io::Error| {
        let error = CliError::new(format!("`{}` cannot be written: {error}", path.display()));
        error.hint("keys are never overwritten; choose another name, in a folder that exists")
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)
}

fn build(dir: &Path, output: &Path) -> CliResult<()> {
    let component = artifact::build_connector(dir).map_err(refused)?;
    let found = artifact::inspect(&component).map_err(refused)?;
    ingest::check_schema(&found.manifest.settings).map_err(|error| CliError::advised(&error))?;
    write(output, &component)?;
    say(format!(
        "{}  {}, {}",
        output.display(),
        bytes(found.size_bytes as u64),
        found.digest
    ));
    Ok(())
}

fn sign(input: &Path, key: &Path, output: &Path) -> CliResult<()> {
    let key = SigningKey::parse(&read(key)?).map_err(refused)?;
    let signed = artifact::sign(&read(input)?, &key).map_err(refused)?;
    write(output, &signed)?;
    let found = artifact::inspect(&signed).map_err(refused)?;
    say(format!(
        "{}  signed by {}, {}",
        output.display(),
        key.public_hex(),
        found.digest
    ));
    Ok(())
}

fn inspect(file: &Path, json: bool) -> CliResult<()> {
    let found = artifact::inspect(&read(file)?).map_err(refused)?;
    if json {
        let json = serde_json::to_string_pretty(&found)
            .map_err(|error| CliError::new(format!("the result cannot be shown: {error}")))?;
        say(json);
    } else {
        describe(&found);
    }
    Ok(())
}

fn describe(found: &Inspection) {
    let manifest = &found.manifest;
    let line = |key: &str, value: &str| {
        if !value.is_empty() {
            say(format!("{key:<12}{}", plain(value).replace('\n', " ")));
        }
    };
    line("name", manifest.name.as_str());
    line("version", &manifest.version);
    line("title", &manifest.title);
    line("description", &manifest.description);
    line("digest", &found.digest.to_string());
    line("size", &bytes(found.size_bytes as u64));
    line(
        "signed",
        if found.signed {
            "yes; `verify` tells by whom"
        } else {
            "no"
        },
    );
    line("worlds", &manifest.worlds.join(", "));
    line("interface", &manifest.wit);
    line("egress", &manifest.egress.join(", "));
    let slots: Vec<_> = manifest
        .credentials
        .iter()
        .map(|slot| slot.name.as_str())
        .collect();
    line("credentials", &slots.join(", "));
    line("imports", &found.imports.join(", "));
    line("exports", &found.exports.join(", "));
}

fn verify(file: &Path, public_key: &str) -> CliResult<()> {
    let key = read_public_key(public_key)?;
    artifact::verify(&read(file)?, &[("publisher", &key)]).map_err(refused)?;
    say(format!("{}  signed by {key}", file.display()));
    Ok(())
}

/// A public key as it stands, or from a file.
pub(super) fn read_public_key(text_or_file: &str) -> CliResult<String> {
    if let Ok(key) = artifact::parse_public_key(text_or_file) {
        return Ok(key);
    }
    let content = String::from_utf8(read(Path::new(text_or_file))?).unwrap_or_default();
    artifact::parse_public_key(&content).map_err(|_| {
        CliError::new(format!("`{text_or_file}` holds no ed25519 public key")).hint(
            "pass the KEY.pub that `sluice connector keygen` or `ssh-keygen -t ed25519` wrote, a public key in PEM, or 64 hexadecimal digits",
        )
    })
}

fn read(path: &Path) -> CliResult<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| CliError::new(format!("`{}` cannot be read: {error}", path.display())))
}

fn write(path: &Path, content: &[u8]) -> CliResult<()> {
    std::fs::write(path, content)
        .map_err(|error| CliError::new(format!("`{}` cannot be written: {error}", path.display())))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn refused(error: ArtifactError) -> CliError {
    CliError::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_pair_is_written_once_and_its_public_half_can_be_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("a.key");
        keygen(&secret).unwrap();
        let mode = std::fs::metadata(&secret).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = std::fs::read(&secret).unwrap();
        assert!(keygen(&secret).is_err());
        assert_eq!(std::fs::read(&secret).unwrap(), before);

        let public = folder.path().join("a.key.pub");
        let key = read_public_key(public.to_str().unwrap()).unwrap();
        assert_eq!(key, SigningKey::parse(&before).unwrap().public_hex());
        assert_eq!(read_public_key(&key.to_uppercase()).unwrap(), key);
        // As `ssh-keygen -t ed25519` writes it.
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGW6I2EcyYyCE1fYjEipNukW+f2+nc9409NLNDd5S51p me@host\n";
        std::fs::write(&public, ssh).unwrap();
        assert_eq!(read_public_key(public.to_str().unwrap()).unwrap().len(), 64);
        assert!(read_public_key(ssh).is_ok());
        assert!(read_public_key(secret.to_str().unwrap()).is_err());
        assert!(read_public_key("/nowhere").is_err());
    }
}
