//! A link as it stands on a page, made absolute: RFC 3986 section 5, for `http` and `https`. A crate for it would be
//! larger than the rest of this SDK.

use crate::Failure;

/// The absolute URL that `link` means on the page at `page`. What cannot be resolved comes back as it is: the host
/// refuses it with the reason.
pub fn resolve(page: &str, link: &str) -> String {
    if has_scheme(link) {
        return link.to_owned();
    }
    let Some((scheme, rest)) = page.split_once("://") else {
        return link.to_owned();
    };
    if link.starts_with("//") {
        return format!("{scheme}:{link}");
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let origin = format!("{scheme}://{host}");
    let link = link.split('#').next().unwrap_or_default();
    if link.is_empty() {
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        return format!("{origin}{path}{query}");
    }
    if link.starts_with('?') {
        return format!("{origin}{path}{link}");
    }
    let (link_path, link_query) = link.split_at(link.find('?').unwrap_or(link.len()));
    let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
    let whole = if link_path.starts_with('/') {
        link_path.to_owned()
    } else {
        format!("{folder}{link_path}")
    };
    format!("{origin}{}{link_query}", without_dots(&whole))
}

fn has_scheme(link: &str) -> bool {
    link.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
        if last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// The next page's URL from the JSON text that an append returned for it; `None` where there is no next page. Fails with
/// [`Failure::Upstream`] for what is no text.
pub fn following(page: &str, value: Option<String>) -> Result<Option<String>, Failure> {
    let link = value.map_or(Ok(None), |json| {
        serde_json::from_str::<Option<String>>(&json)
    });
    let link = link.map_err(|_| Failure::upstream("the next page's address is not a text"))?;
    Ok(link
        .filter(|link| !link.is_empty())
        .map(|link| resolve(page, &link)))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn a_link_is_resolved_like_a_browser_does() {
        let page = "https://a.org/b/c?page=1";
        for (link, url) in [
            ("https://b.org/x", "https://b.org/x"),
            ("//b.org/x", "https://b.org/x"),
            ("/x?page=2", "https://a.org/x?page=2"),
            ("d?page=2", "https://a.org/b/d?page=2"),
            ("?page=2", "https://a.org/b/c?page=2"),
            ("../d", "https://a.org/d"),
            ("../../../d", "https://a.org/d"),
            ("./d/.", "https://a.org/b/d/"),
            ("/x/../y/..", "https://a.org/"),
            ("#top", "https://a.org/b/c?page=1"),
            ("d?at=10:30", "https://a.org/b/d?at=10:30"),
            ("file:///etc/passwd", "file:///etc/passwd"),
        ] {
            assert_eq!(resolve(page, link), url, "{link}");
        }
        assert_eq!(resolve("https://a.org", "x"), "https://a.org/x");
    }
}
