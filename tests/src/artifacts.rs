//! The built things: the `sluice` binary, the connectors, and keys to sign them with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the machine of the tests may have set, and would change what they see.
const FOREIGN: [&str; 8] = [
    "SLUICE_SERVER",
    "SLUICE_TOKEN",
    "SLUICE_MASTER_KEY",
    "SLUICE_CONFIG",
    "DATA_DIR",
    "LOG_LEVEL",
    "CORS_ORIGINS",
    "SERVER_URL",
];

/// The folder of built binaries: where this program's own folder is, above `deps`.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a program has a path");
    let dir = exe.parent().expect("a program lies in a folder");
    if dir.ends_with("deps") {
        dir.parent().expect("`deps` lies in a folder").to_owned()
    } else {
        dir.to_owned()
    }
}

/// The `sluice` binary with nothing of this process's settings.
pub fn sluice() -> Command {
    let path = target_dir().join("sluice");
    assert!(
        path.exists(),
        "{} is not built: run `./dev test`, or `cargo build -p server`",
        path.display()
    );
    let mut command = Command::new(path);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command
}

/// Runs the command line and returns what it printed; its failure is the test's.
#[track_caller]
pub fn sluice_ok<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> String {
    let output = sluice().args(arguments).output().expect("sluice starts");
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command printed, for messages and snapshots.
pub fn shown(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A text in which every digest, in full or short, is called `DIGEST`, so that it is the same in every run.
pub fn without_digests(text: &str) -> String {
    let is_digest = |word: &str| {
        [12, 64].contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let named = words.map(|word| {
        let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_digest(end) {
            word.replace(end, "DIGEST")
        } else {
            word.to_owned()
        }
    });
    named.collect()
}

/// The unsigned component of a connector of this repository, `files` or `fixtures`.
pub fn component(name: &str) -> PathBuf {
    let dir = std::env::var_os("SLUICE_WASM_DIR")
        .map_or_else(|| target_dir().join("../connectors"), PathBuf::from);
    let path = dir.join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{} is not built: run `./dev test`, or `just guests`",
        path.display()
    );
    path
}

/// A publisher's key pair in a folder of its own.
#[derive(Debug)]
pub struct Key {
    dir: tempfile::TempDir,
}

impl Key {
    /// A new key pair, made by the command line.
    pub fn generate() -> Self {
        let key = Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        sluice_ok([
            "connector".as_ref(),
            "keygen".as_ref(),
            "-o".as_ref(),
            key.secret().as_os_str(),
        ]);
        key
    }

    /// The file of the secret half.
    pub fn secret(&self) -> PathBuf {
        self.dir.path().join("publisher.key")
    }

    /// The public half, as the API takes it.
    pub fn public(&self) -> String {
        let path = self.dir.path().join("publisher.key.pub");
        let text = std::fs::read_to_string(&path)
            .expect("keygen writes the public half beside the secret one");
        text.split_whitespace().next().expect("a key").to_owned()
    }

    /// The file of the public half.
    pub fn public_file(&self) -> PathBuf {
        self.dir.path().join("publisher.key.pub")
    }

    /// A signed copy of a component.
    #[track_caller]
    pub fn sign(&self, component: &Path) -> Vec<u8> {
        let out = self.dir.path().join("signed.wasm");
        let arguments = [
            "connector".as_ref(),
            "sign".as_ref(),
            component.as_os_str(),
            "--key".as_ref(),
        ];
        let secret = self.secret();
        let rest = [secret.as_os_str(), "-o".as_ref(), out.as_os_str()];
        sluice_ok(arguments.into_iter().chain(rest));
        std::fs::read(&out).expect("sign writes its output")
    }

    /// A signed copy of a component in memory.
    #[track_caller]
    pub fn sign_bytes(&self, component: &[u8]) -> Vec<u8> {
        let file = self.dir.path().join("unsigned.wasm");
        std::fs::write(&file, component).expect("the folder can be written to");
        self.sign(&file)
    }

    /// A signed copy of anything that has sections, by a publisher who does not use our tools.
    #[track_caller]
    pub fn sign_by_hand(&self, bytes: &[u8]) -> Vec<u8> {
        let pem = std::fs::read_to_string(self.secret()).expect("the key can be read");
        let key = wasmsign2::SecretKey::from_pem(&pem).expect("a key");
        let module = wasmsign2::Module::deserialize(&mut &*bytes).expect("sections");
        let signed = key.sign(module, None).expect("it can be signed");
        let mut out = Vec::new();
        signed.serialize(&mut out).expect("it can be written");
        out
    }
}
