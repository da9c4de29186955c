//! Databases that are files: only below the folders that the operator named.

use std::path::{Path, PathBuf};

/// The real place of an existing file or folder below one of the folders, links resolved.
pub(super) fn within(folders: &[PathBuf], extension: &str, text: &str) -> Result<PathBuf, String> {
    let shown: String = text.chars().take(300).collect();
    let shown = shown.escape_debug();
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("`{shown}` is not an absolute path"));
    }
    let refused = || {
        format!(
            "`{shown}` is not below a folder of `remote.extensions.{extension}.folders` of the configuration"
        )
    };
    // What lies elsewhere is refused alike, whether it is there or not.
    let named = folders.iter().any(|folder| path.starts_with(folder));
    let found = match path.canonicalize() {
        Ok(found) => found,
        Err(error) if named => return Err(format!("`{shown}` cannot be opened: {error}")),
        Err(_) => return Err(refused()),
    };
    let below = |folder: &PathBuf| {
        folder
            .canonicalize()
            .is_ok_and(|root| found.starts_with(root))
    };
    match folders.iter().any(below) {
        true => Ok(found),
        false => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_dots_nor_links_lead_out_of_the_folders() {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("allowed");
        std::fs::create_dir(&allowed).unwrap();
        for name in ["outside", "allowed/inside"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path().join("outside"), allowed.join("link")).unwrap();
        let ask = |name: &str| {
            let path = folder.path().join(name);
            within(
                std::slice::from_ref(&allowed),
                "sqlite",
                &path.to_string_lossy(),
            )
        };
        assert!(ask("allowed/inside").is_ok());
        for name in [
            "outside",
            "allowed/../outside",
            "allowed/link",
            "nowhere",
            "allowed/nowhere",
        ] {
            assert!(ask(name).is_err(), "{name}");
        }
        assert!(within(std::slice::from_ref(&allowed), "sqlite", "inside").is_err());
    }
}
