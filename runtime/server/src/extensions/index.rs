//! A page of a Python package index: links to files, each with the digest of its bytes.

use domain::Digest;
use url::Url;

/// A file that the index names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wheel {
    name: String,
    pub(super) url: Url,
    pub(super) sha256: Digest,
}

impl Wheel {
    /// Whether it is of this version and for this machine.
    pub(super) fn fits(&self, version: &str) -> bool {
        let machine = match std::env::consts::ARCH {
            "aarch64" => "aarch64",
            _ => "x86_64",
        };
        let parts: Vec<&str> = self.name.trim_end_matches(".whl").split('-').collect();
        let platform = parts.last().copied().unwrap_or_default();
        self.name.ends_with(".whl")
            && parts.get(1) == Some(&version)
            && platform.contains("manylinux")
            && platform.ends_with(machine)
    }
}

/// The files of a page; links without a digest are passed over, since nothing vouches for them.
pub(super) fn wheels(page: &Url, html: &str) -> Vec<Wheel> {
    let links = html.split("href=").skip(1).filter_map(quoted);
    links.filter_map(|link| wheel(page, link)).collect()
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text.get(1..)?.split(quote).next()
}

fn wheel(page: &Url, link: &str) -> Option<Wheel> {
    let mut url = page.join(&link.replace("&amp;", "&")).ok()?;
    let digest = url.fragment()?.strip_prefix("sha256=")?.to_owned();
    url.set_fragment(None);
    let name = url.path_segments()?.next_back()?.to_owned();
    let http = matches!(url.scheme(), "https" | "http");
    http.then_some(Wheel {
        name,
        url,
        sha256: Digest::parse(&digest).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_only_with_a_digest_and_for_this_machine() {
        let page = Url::parse("https://pypi.example.com/simple/duckdb-extension-fts/").unwrap();
        let digest = "ab".repeat(32);
        let machine = std::env::consts::ARCH;
        let file = format!("duckdb_extension_fts-1.5.5-py3-none-manylinux2014_{machine}.whl");
        let html = format!(
            "<a href=\"../../files/{file}#sha256={digest}\">x</a>\
             <a href='{file}'>no digest</a>\
             <a href='ftp://x/{file}#sha256={digest}'>no http</a>\
             <a href=\"/y/duckdb_extension_fts-1.5.4-py3-none-manylinux2014_{machine}.whl#sha256={digest}\">old</a>\
             <a href=\"/z/duckdb_extension_fts-1.5.5-py3-none-win_amd64.whl#sha256={digest}\">other</a>"
        );
        let found = wheels(&page, &html);
        let fitting: Vec<_> = found.iter().filter(|wheel| wheel.fits("1.5.5")).collect();
        let [wheel] = fitting.as_slice() else {
            panic!("{fitting:?}")
        };
        assert_eq!(
            wheel.url.as_str(),
            format!("https://pypi.example.com/files/{file}")
        );
    }
}
